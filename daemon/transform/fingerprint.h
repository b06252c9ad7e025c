/* fingerprint.h - 16 bytes that change when a mapping or a rule of its entity does. Pure. */
#pragma once
#include "transform/mapping.h"

void mapping_fingerprint(const MappingSpec *spec, uint8_t ret_fingerprint[16]);
