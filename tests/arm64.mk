# Licensed under the Apache License, Version 2.0; see LICENSE.
# Rooms and their tests for arm64, and a run of them in an emulator. Run by tests/arm64, with SRC,
# the sources, and SYSROOT, where the libraries are.
CC = aarch64-linux-gnu-gcc
RUN = qemu-aarch64 -L $(SYSROOT)
# Those of parsers, and of what threads and processes share; without what looks at /proc, which
# shows the emulator.
TESTS = account backends cgroup counters forked journal json kmsg ledger logline logscan logtime \
	num plan ring route routes score source state suspects table verdict windows
FUZZED := $(notdir $(wildcard $(SRC)/tests/fuzz/corpus/*))
GLUE := $(shell cd $(SRC) && grep -lE '^.include "(httpd\.h|oomguard/guard\.h)"' \
	$$(find modules -name '*.c'))
ROOMS := $(filter-out $(GLUE) modules/oomguard/oomreport.c, \
	$(shell cd $(SRC) && find modules -name '*.c'))
FLAGS = --sysroot=$(SYSROOT) -I$(SRC)/modules -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -MMD -MP
LIBS = -lcheck -lsubunit -ljansson -lz -lm -lrt -pthread

OBJECTS := $(ROOMS:.c=.o) $(TESTS:%=tests/unit/check_%.o) $(FUZZED:%=tests/fuzz/fuzz_%.o) \
	tests/fuzz/driver.o
UNIT = $(TESTS:%=unit-%)
FUZZ = $(FUZZED:%=fuzz-%)

all: $(UNIT) $(FUZZ)

$(OBJECTS): %.o: $(SRC)/%.c $(SRC)/tests/arm64.mk
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -c -o $@ $<

rooms.a: $(ROOMS:.c=.o)
	@rm -f $@
	aarch64-linux-gnu-ar rcs $@ $^

# What a test replaces is named where it is linked for this machine, in a line.
$(TESTS:%=check_%): check_%: tests/unit/check_%.o rooms.a
	$(CC) --sysroot=$(SYSROOT) -o $@ $^ $(LIBS) \
	    $$(sed -n 's/^%C%_$@_LDFLAGS = //p' $(SRC)/tests/unit/Makefile.inc)

$(FUZZED:%=fuzz_%): fuzz_%: tests/fuzz/fuzz_%.o tests/fuzz/driver.o rooms.a
	$(CC) --sysroot=$(SYSROOT) -o $@ $^ $(LIBS)

$(UNIT): unit-%: check_%
	$(RUN) ./$<

$(FUZZ): fuzz-%: fuzz_%
	$(RUN) ./$< $(SRC)/tests/fuzz/corpus/$*

.PHONY: all $(UNIT) $(FUZZ)
-include $(OBJECTS:.o=.d)
