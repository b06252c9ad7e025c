/* shown.h - which gauges still speak of something that is configured.
 *
 * After another configuration was taken: gauges of feeds, of rules over feeds and of registers that went are forgotten, or an
 * alert on their last value would stand until the process ends. Scores stay, for the rows of a feed that went do. */
#pragma once
#include "config.h"

/* Nothing of the old configuration may be running any more. */
void shown_keep(const Config *config);
