/* specialty.h - whether two houses' words for what a provider does can mean the same.
 *
 * A hospital writes "Cardiology", the registry "Internal Medicine, Cardiovascular Disease" (the NUCC Health Care
 * Provider Taxonomy's display names): no list joins the two. So beginnings of words are compared, and doubt is
 * agreement: a mismatch says that no word of the one begins like any of the other, "Cardiology" and "Dentist".
 * Pure. Not a classification. */
#pragma once
#include "base/str.h"

/* `theirs`: all the registry says, any separators. A hospital that says nothing agrees with everything. */
bool specialty_agrees(Str ours, Str theirs);
