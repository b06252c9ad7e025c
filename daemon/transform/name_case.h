/* name_case.h - names of people as their owners write them.
 *
 * SMITH-JONES becomes Smith-Jones, o'brien O'Brien, MCDONALD McDonald, DE LA CRUZ de la Cruz, ÜNAL Ünal,
 * john smith iii John Smith III. Idempotent.
 *
 * What somebody already wrote with care stays: a word in mixed case (DeShawn, MacLeod, LaToya) is never
 * changed, and neither are Mack, Macy or Macias, which only begin like Mac. Mac is followed by a
 * capital in a list of surnames where it usually is, and only when the word was all in capitals or
 * all in small letters: Macdonald is a name too. Particles (de, van, von, …) become small when the
 * word said nothing about its case, and always in pairs (de la, van der). Characters are composed
 * (NFC) on the way, so that two encodings of Ü are one name. */
#pragma once
#include "base/arena.h"

Str name_case(Arena *arena, Str text);
