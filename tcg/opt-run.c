/*
 * The passes over intermediate code.
 */
#include "tcg/tcg-int.h"

void opt_run(Compile *c)
{
}
