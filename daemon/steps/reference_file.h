/* reference_file.h - a customer's list, from its file into memory: for the step, and for the doctor. */
#pragma once
#include "config.h"
#include "storage/reference.h"

/* The whole file; texts live in the arena. Errors name the file and the line, never what stands there. */
bool reference_file_read(const ReferenceService *service, Reference reference, Arena *arena, ReferenceList *ret_list,
                         Error *err);
