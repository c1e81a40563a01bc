/*
 * What random programs really execute: counted bundle by bundle in the
 * interpreter, so that a form that the generator never brings to its end is
 * seen.
 */
#ifndef TESTS_DIFF_RANDOM_COVERAGE_H
#define TESTS_DIFF_RANDOM_COVERAGE_H

#include "tests/insn/box.h"

/* Runs the program at the box's ip to its end, an exception or a number of
 * steps, and counts what is done on the way. */
void coverage_run(Box *box);

/*
 * Prints what was never executed and how much was: operations, each in every
 * version that has it, and the forms of FORMS in random-coverage.c.  Returns
 * how many are missing.
 */
unsigned coverage_report(void);

#endif
