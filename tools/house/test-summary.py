"""Prints the closing line of ./check from meson's JSON test log.

Skipped tests are named with the reason they gave; a log without a single
test is a failure.
"""
import json
import sys

PASS = {"OK", "EXPECTEDFAIL"}
SKIP = {"SKIP"}


def reason(test):
    lines = (test.get("stdout") or "").strip().splitlines()
    lines += (test.get("stderr") or "").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            if test["result"] in PASS:
                passed += 1
            elif test["result"] in SKIP:
                skipped += 1
                print(f"skipped: {test['name']}: {reason(test)}")
            else:
                failed += 1
                print(f"failed: {test['name']}: {test['result']}")
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
