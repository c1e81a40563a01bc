/*
 * Shared by the files of the code generator.
 */
#ifndef TCG_TCG_INT_H
#define TCG_TCG_INT_H

#include "tcg/tcg.h"

extern TcgConfig tcg_config;

#endif
