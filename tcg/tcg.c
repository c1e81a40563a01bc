/*
 * The code generator's process-wide state.
 */
#include "tcg/tcg.h"

#include "tcg/tcg-int.h"

TcgConfig tcg_config;
