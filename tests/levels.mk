# Licensed under the Apache License, Version 2.0; see LICENSE.
# Compiles rooms, glue and tests at each level of optimization but -O2, and links nothing: a
# compiler has other warnings at each, and "make check" must compile at all of them. Run by
# tests/run, with SRC, the sources, and BUILD, a build that was configured with --enable-werror.
LEVELS = O0 O1 Os Og O3
FILES := $(shell cd $(SRC) && find modules tests/unit tests/fuzz tests/bench tests/report -name '*.c')
GLUE := $(shell cd $(SRC) && grep -lE '^.include "(httpd\.h|oomguard/guard\.h)"' $(FILES))
flags = $(shell sed -n 's/^$(1)_C[A-Z]*FLAGS = //p' $(BUILD)/Makefile)
FLAGS := -I$(SRC)/modules -I$(BUILD) -D_GNU_SOURCE -DHAVE_CONFIG_H \
	$(foreach set,WARN CHECK JANSSON ZLIB SYSTEMD,$(call flags,$(set)))
GLUE_FLAGS := $(call flags,HTTPD) -Wno-unused-parameter

all: $(foreach level,$(LEVELS),$(FILES:%.c=$(level)/%.o))

define rules
$(1)/%.o: $(SRC)/%.c $(BUILD)/Makefile $(SRC)/tests/levels.mk
	@mkdir -p $$(@D)
	$$(CC) $$(FLAGS) $$(if $$(filter $$*.c,$$(GLUE)),$$(GLUE_FLAGS)) -g -$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach level,$(LEVELS),$(eval $(call rules,$(level))))

-include $(foreach level,$(LEVELS),$(FILES:%.c=$(level)/%.d))
