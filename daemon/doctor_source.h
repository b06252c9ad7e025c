/* doctor_source.h - doctor's checks of one hospital: the server, the account, and what each feed needs. */
#pragma once
#include "config.h"
#include "finding.h"

void doctor_check_source(const SourceConfig *source, Report *report);
