/* place_early.h - what a page that is written before its turn does otherwise (place_early() of place.h says what that is). */
#pragma once
#include "steps/placing.h"

/* The fence comes with its turn; until then it only waits for nobody long. */
bool placing_be_patient(Placing *placing, Error *err);
/* False, without an error, where something is known of a row, or it bears no id that the page before could not have. */
bool placing_check_unknown(Placing *placing, Error *err);
