# From raw text to report. `make` alone lists the targets.
# The recipes say what is run; make says what is missing. Every stage is a plain command, printed as it runs.

SCALE      ?= smoke
OUTPUTS    ?= outputs
OVERRIDES  ?=
GSM8K      ?=
# Pairs of arms of make halves.
PAIRS      ?= 8
# A study of docs/studies, and how many blocks of its runs to make now; none: all.
NAME       ?= $(error say which: make study NAME=<a folder of docs/studies>)
BLOCKS     ?=
# Runs of an experiment side by side, each on so many threads: two tiny models train faster on a core each.
JOBS       ?= 2
# Dollars for an hour of one device: shows what an experiment has cost and will cost.
PRICE      ?=
# Scales that are made for a processor.
CPU_SCALES := smoke two_cores study_halves
# A live page of every stage of every run, by Trackio: TRACKIO_SPACE_ID=<user>/<name> puts it on the Hub too.
LIVE       ?= $(if $(filter $(CPU_SCALES),$(SCALE)),,1)
# Which of the machines that share a folder this one is.
WORKER     ?= 0
GPU        ?= $(if $(filter $(CPU_SCALES),$(SCALE)),cpu,h100)
export OMP_NUM_THREADS ?= 1
# Without bytecode each process compiles torch, transformers and TRL anew, which takes longer than to import them.
unexport PYTHONDONTWRITEBYTECODE
ACCELERATE ?= accelerate_configs/$(if $(filter $(CPU_SCALES),$(SCALE)),cpu,gpu).yaml
# Processes, each with a GPU of its own, that share the steps of one pretraining, SFT or GRPO.
PROCESSES  ?= 1
ifneq ($(PROCESSES),1)
TRAIN_ACCELERATE := accelerate_configs/$(if $(filter $(CPU_SCALES),$(SCALE)),cpu_ddp,ddp).yaml
LAUNCH     := --num_processes $(PROCESSES) --main_process_port 0
endif
TRAIN_ACCELERATE ?= $(ACCELERATE)
PRETRAIN_ACCELERATE ?= $(TRAIN_ACCELERATE)
# One process on a CPU needs no launcher, whose own imports take as long as fifteen steps of smoke.
ifeq ($(PRETRAIN_ACCELERATE),accelerate_configs/cpu.yaml)
PRETRAIN := env ACCELERATE_USE_CPU=true python
else
PRETRAIN := accelerate launch --quiet --config_file $(PRETRAIN_ACCELERATE) $(LAUNCH)
endif
PYTHON     ?= python3

# Every variable that a command may name; a mistyped one would be taken in silence.
VARIABLES := SCALE CONDITION SEED CONDITIONS SEEDS OUTPUTS OVERRIDES GSM8K JOBS PRICE GPU ACCELERATE PROCESSES \
	PRETRAIN_ACCELERATE PYTHON VENV PAIRS CONTROLS LIVE WORKER AGAIN DRY FIGURE \
	NAME BLOCKS NANOGPT TEXT FILES ORG PUBLIC REPLACE REVISION FLAVOR TIMEOUT GO MODEL RUNS LOGGED \
	CUDA_% HF_% OMP_% MKL_% MALLOC_% NCCL_% TORCH_% TRITON_% PYTHON% TOKENIZERS_% XDG_% MULFACT_% MAKE% CI TMPDIR
named = $(foreach name,$(.VARIABLES),$(if $(filter $(1),$(firstword $(origin $(name)))),$(name)))
NAMED := $(call named,command)
$(foreach name,$(filter-out $(VARIABLES),$(NAMED)),$(error $(name)= is no variable of this Makefile; there are: \
	$(filter-out %\%,$(wordlist 1,37,$(VARIABLES)))))
# $(2) where this command, or its environment, names the variable $(1).
NAMED_HERE = $(if $(filter command environment,$(firstword $(origin $(1)))),$(2))
# On with 1, off when empty: PUBLIC=0 must not publish, nor AGAIN=no throw training away.
SWITCHES := AGAIN DRY LIVE PUBLIC REPLACE GO LOGGED
$(foreach name,$(SWITCHES),$(if $(filter-out 1,$(value $(name))),$(if $(call NAMED_HERE,$(name),$(name)),$(error \
	$(name) is '$(value $(name))': say $(name)=1 for yes, and $(name)= for no))))
# What would run although it was only to be looked at.
ifneq ($(DRY),)
$(if $(filter-out experiment smoke compare,$(or $(MAKECMDGOALS),none)),$(error DRY=1 is of make experiment, smoke and \
	compare; make $(MAKECMDGOALS) would run: say make -n for the commands of another target))
endif
# Those that an experiment remembers (mulfact/experiment/remembered.py), where this command names them.
GIVEN := $(sort $(foreach name,OVERRIDES GSM8K CONDITIONS SEEDS CONTROLS,$(call NAMED_HERE,$(name),$(name))) \
	$(call NAMED_HERE,SEED,SEEDS))
# As they were typed: in "$$2.5" or "$$6*9" make would see a variable of its own.
AS_TYPED := TEXT FILES OVERRIDES PRICE GPU GSM8K FIGURE
ifeq ($(MAKELEVEL),0)
$(foreach name,$(AS_TYPED),$(if $(filter command environment,$(firstword $(origin $(name)))),\
	$(eval override $(name) := $$(value $(name)))))
endif

# outputs/ and ./outputs are outputs.
ifneq ($(filter command environment,$(firstword $(origin OUTPUTS))),)
override OUTPUTS := $(patsubst %/,%,$(patsubst ./%,%,$(subst /./,/,$(subst //,/,$(subst //,/,$(value OUTPUTS))))))
endif
# What make, the shell or OmegaConf would read as a sign of its own in the path of a folder.
SIGNS := % = : * ? [ ] { } ( ) ' " ` ; & | < > ! \ \# $$
PLAIN_PATH = $(foreach sign,$(SIGNS),$(if $(findstring $(sign),$(value $(1))),$(error $(1) is '$(value $(1))': a \
	path with $(sign) in it cannot be used; link the folder under a plain name)))
$(call PLAIN_PATH,OUTPUTS)
$(call PLAIN_PATH,GSM8K)
ifneq ($(filter -% ~% . ..,$(OUTPUTS)),)
$(error OUTPUTS is '$(OUTPUTS)': expected the path of a folder below this one, such as outputs)
endif
# Folders are named after these: with none or two of them `rm -rf` and the rules below would mean others.
ONE_WORD = $(if $(filter 1,$(words $($(1)))),,$(error $(1) is '$($(1))': expected one word, such as $(1)=$(2)))
$(call ONE_WORD,SCALE,smoke)
$(call ONE_WORD,OUTPUTS,outputs)
ifneq ($(filter . ..,$(subst /, . ,$(SCALE))),)
$(error SCALE is '$(SCALE)': expected the name of a file in recipes/scales, such as smoke)
endif
R   := $(OUTPUTS)/$(SCALE)

# The arm of a single stage would be passed over by what is about all of them.
ifeq ($(firstword $(origin CONDITION)) $(call NAMED_HERE,CONDITIONS,named),command )
ifneq ($(filter experiment smoke compare runs curves worker plan jobs inspect playground,$(MAKECMDGOALS)),)
$(error CONDITION=$(CONDITION) names the arm of a single stage or run, and make $(MAKECMDGOALS) is about several: say \
	CONDITIONS="baseline $(CONDITION)")
endif
endif

# Which arms and seeds: those that make experiment remembers of itself (mulfact/experiment/remembered.py), unless this
# command names others. One SEED that it names is all of its seeds.
REMEMBERED := $(wildcard $(R)/recipes/settings.yaml)
remembered = $(if $(REMEMBERED),$(strip $(subst ',,$(shell sed -n 's/^$(1): //p' '$(REMEMBERED)'))))
ifeq ($(origin CONDITIONS),undefined)
CONDITIONS := $(or $(call remembered,CONDITIONS),baseline mulfact)
endif
# Declared controls of recipes/controls, such as baseline_more baseline_less: they say what an effect is worth in training.
ifeq ($(origin CONTROLS),undefined)
CONTROLS   := $(call remembered,CONTROLS)
endif
ifeq ($(origin SEEDS),undefined)
SEEDS      := $(or $(SEED),$(call remembered,SEEDS),0)
endif
SEED       ?= $(or $(firstword $(SEEDS)),0)
CONDITION  ?= $(or $(filter mulfact,$(CONDITIONS)),$(lastword $(CONDITIONS)),mulfact)
$(call ONE_WORD,CONDITION,mulfact)
$(call ONE_WORD,SEED,0)
RUN := $(R)/$(CONDITION)/seed-$(SEED)
export $(GIVEN) TEXT FILES PRICE GPU FIGURE AGAIN

ifneq ($(word 2,$(GSM8K)),)
$(error GSM8K is '$(GSM8K)': expected a Hub id, or a folder without a space in its path; move or link it there)
endif

# Everything runs in .venv; `make VENV= ...` uses the packages of the current environment instead.
VENV ?= .venv
ifneq ($(VENV),)
export PATH := $(abspath $(VENV))/bin:$(PATH)
INSTALLED := $(VENV)/.installed
endif
export TOKENIZERS_PARALLELISM := false
# glibc gives large buffers back to the system after each use; keeping them made a CPU step 1.4 times as fast.
export MALLOC_MMAP_THRESHOLD_ ?= 2000000000
export MALLOC_TRIM_THRESHOLD_ ?= 4000000000

# This checkout's own modules, whatever the environment has installed; and texts in UTF-8, messages in English, of
# which the grid reads some, in any locale.
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
export PYTHONUTF8 := 1
export LC_ALL := C.UTF-8
# Libraries keep files in the home folder, which some machines do not let anybody write.
CACHE := $(or $(HF_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)
ifeq ($(shell mkdir -p '$(CACHE)' 2> /dev/null && test -w '$(CACHE)' || echo no),no)
export HF_HOME := $(abspath $(OUTPUTS))/.cache/huggingface
export XDG_CACHE_HOME := $(abspath $(OUTPUTS))/.cache
export MPLCONFIGDIR := $(abspath $(OUTPUTS))/.cache/matplotlib
export TRITON_CACHE_DIR := $(abspath $(OUTPUTS))/.cache/triton
endif

SETTINGS = --outputs $(OUTPUTS) --scale $(SCALE) --processes $(PROCESSES) --given $(GIVEN)
# Composes the recipes and says how the experiment stands, before the make below is asked what to do.
PREPARE = python -m mulfact.experiment.prepare $(SETTINGS)
RUN_NAMES = --conditions $(CONDITIONS) $(if $(CONTROLS),--controls $(CONTROLS)) --seeds $(SEEDS)
PLAN = python -m mulfact.experiment.plan $(SETTINGS) $(RUN_NAMES)
SHOW = python -m mulfact.experiment.show
# In front of each stage: what is finished, by its record, is not made again, nor what another command is making.
ONCE = exec python -m mulfact.experiment.once $<
SUBMAKE = $(MAKE) --no-print-directory

.DEFAULT_GOAL := help
.SECONDEXPANSION:

help: ## list the targets
	@grep -hE '^[a-z_ ]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-42s %s\n", $$1, $$2}'
	@echo
	@echo "  settings: SCALE=smoke|pilot|gpt2_124m|gpt2_355m CONDITION=<arm> SEED=<n> OVERRIDES=\"section.key=value ...\""

# ---------------------------------------------------------------- whole experiments

ifneq ($(filter smoke,$(MAKECMDGOALS)),)
ifneq ($(SCALE),smoke)
$(error make smoke is the scale smoke, and SCALE is '$(SCALE)': say make experiment SCALE=$(SCALE))
endif
endif

smoke: ## the whole road for two arms on two CPU cores, no network: about ten minutes
	@$(SUBMAKE) experiment SCALE=smoke

ifneq ($(DRY),)
experiment: $(INSTALLED)
	@$(PREPARE) $(RUN_NAMES) --experiment --dry
else
experiment: $(INSTALLED) ## every arm in CONDITIONS with every seed in SEEDS, then the report; DRY=1 says what it would run
	@$(PREPARE) $(RUN_NAMES) --experiment
	@! command -v nvidia-smi > /dev/null || $(PLAN) --jobs $(JOBS) --only_warn
	@python -m mulfact.experiment.grid --folder $(R) --conditions $(CONDITIONS) $(CONTROLS) --seeds $(SEEDS) --jobs $(JOBS) \
		$(if $(PRICE),--price "$$PRICE") $(if $(LIVE),--live)
	@$(SUBMAKE) --question $(R)/report/provenance.json || $(SUBMAKE) $(R)/report/provenance.json
	@$(SHOW) $(R)
endif

show: $(INSTALLED) ## the answer of a finished experiment, in a second
	@$(SHOW) $(R)

worker: $(INSTALLED) ## a share of an experiment in a folder that machines share: WORKER=0, 1, ... begin at another run each
	@$(PREPARE) $(RUN_NAMES)
	@set -- $(RUNS); for _ in $$(seq $$(( $(WORKER) % $$# ))); do set -- "$$@" "$$1"; shift; done; failed=; \
	for run; do arm=$$(basename "$$(dirname $$run)"); \
		for made in eval/provenance.json ledger.json; do \
			$(SUBMAKE) LOGGED=1 CONDITION=$$arm SEED=$${run##*seed-} $$run/$$made || failed="$$failed $$run"; \
		done; \
	done; test -z "$$failed" || { echo "error: not finished:$$failed; their logs/ say why" >&2; exit 1; }

plan: $(INSTALLED) ## what an experiment will cost on GPU=h100 (a100, l4, ...) at PRICE=<dollars an hour>, and see (FIGURE=plan.svg)
	@$(PLAN) --gpu "$$GPU" $(if $(PRICE),--price "$$PRICE") $(if $(FIGURE),--figure "$$FIGURE")

halves: $(INSTALLED) ## pretrain PAIRS pairs of arms, each with the other half of CONDITION's tokens, and compare fact by fact
	@$(PREPARE) --conditions $(CONDITION) --halves $(PAIRS)
	@python -m mulfact.experiment.grid --folder $(R) --halves $(R)/halves/$(CONDITION)/recipes/halves.yaml --jobs $(JOBS) \
		$(if $(PRICE),--price "$$PRICE")
	@python evals/halves.py --config $(R)/halves/$(CONDITION)/recipes/halves.yaml

study: $(INSTALLED) ## what is missing of the pre-registered study docs/studies/NAME, then its analysis (BLOCKS=<n>: so many now)
	@python -m mulfact.experiment.study --name $(NAME) --jobs $(JOBS) $(if $(BLOCKS),--blocks $(BLOCKS))

runs curves: $(INSTALLED) ## every arm in CONDITIONS with every seed in SEEDS, without a report; curves: no further than pretraining
	@$(PREPARE) $(RUN_NAMES)
	@python -m mulfact.experiment.grid --folder $(R) --conditions $(CONDITIONS) $(CONTROLS) --seeds $(SEEDS) --jobs $(JOBS) \
		$(if $(filter curves,$@),--curves)

compare: experiment ## compare the runs of CONDITIONS and SEEDS (runs what is missing first)

# ---------------------------------------------------------------- single stages

corpus base_tokenizer posttrain benchmarks: $(INSTALLED) ## what all arms share
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(R)/$@/provenance.json

tokenizer tokens lengths: $(INSTALLED) ## what all seeds of CONDITION share
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(R)/$(CONDITION)/$@/provenance.json

inspect: $(INSTALLED) ## show TEXT as the tokens of each arm in CONDITIONS, here and as a page
	@python -m mulfact.tokenizers.inspect_text --text "$${TEXT:?give TEXT=...}" --html $(R)/inspect.html \
		--tokenizers $(CONDITIONS:%=$(R)/%/tokenizer)

playground: $(INSTALLED) ## a page to open from disk: any text as the tokens of each arm in CONDITIONS, maps and completions
	@$(PREPARE) --conditions $(CONDITIONS)
	@$(SUBMAKE) $(CONDITIONS:%=$(R)/%/tokenizer/provenance.json)
	@python release/playground.py --shared_dir $(R) --conditions $(CONDITIONS)

rewrites: $(INSTALLED) ## list each rewrite in FILES (.txt, .jsonl, .parquet) with its context, by the arm CONDITION
	@python -m mulfact.tokenizers.list_rewrites --tokenizer $(R)/$(CONDITION)/tokenizer $${FILES:?give FILES=...}

pretrain sft: $(INSTALLED) ## one stage of the run CONDITION, SEED (and whatever it still needs)
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(RUN)/$@_final/provenance.json

grpo: $(INSTALLED) ## the same of GRPO; an error where it has nothing to reinforce
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(call TRAINED,$(RUN))
	@python modeling/gate.py --run_dir $(RUN) --check

readiness: $(INSTALLED) ## pass@8 of the SFT checkpoint of the run CONDITION, SEED: is there something to reinforce?
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(RUN)/readiness/provenance.json

curve: $(INSTALLED) ## bits of every fact at each point of the pretraining of the run CONDITION, SEED
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(RUN)/curve/provenance.json

eval: $(INSTALLED) ## lighteval on every checkpoint of the run CONDITION, SEED, and its ledger
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(RUN)/eval/provenance.json $(RUN)/ledger.json
	@$(SHOW) --run $(RUN)

lm_eval_tasks: $(INSTALLED) ## every benchmark as a task of lm-evaluation-harness
	@$(PREPARE) --conditions $(CONDITION) --seeds $(SEED)
	@$(SUBMAKE) $(R)/benchmarks/provenance.json
	python evals/lm_eval_tasks.py --config $(RUN)/recipes/eval.yaml --output_dir $(R)/lm_eval

lm_eval_agreement: $(INSTALLED) ## the run CONDITION, SEED in lm-evaluation-harness too: does it say the same, item by item?
	@$(SUBMAKE) eval lm_eval_tasks
	pip install --quiet --editable '.[harness]'
	python evals/lm_eval_agreement.py --eval $(RUN)/recipes/eval.yaml --tasks $(R)/lm_eval --output_dir $(RUN)/lm_eval

ledger: $(INSTALLED) ## the compute of the run CONDITION, SEED, by stage
	@python evals/ledger_view.py $(RUN)/ledger.json

# ---------------------------------------------------------------- the plain commands

# Each file is named as a target (a static pattern), or make would not miss one that was deleted.
RUNS := $(foreach condition,$(CONDITIONS) $(CONTROLS),$(foreach seed,$(SEEDS),$(R)/$(condition)/seed-$(seed)))
EVERY_RUN := $(sort $(RUNS) $(RUN))
EVERY_ARM := $(sort $(CONDITIONS:%=$(R)/%) $(CONTROLS:%=$(R)/%) $(R)/$(CONDITION))

# What mulfact/experiment/grid.py runs, with LOGGED=1: then what a stage prints goes to logs/<stage>.log beside recipes/<stage>.yaml.
every_run: $(RUNS:=/eval/provenance.json) $(RUNS:=/ledger.json) $(RUNS:=/curve/provenance.json)
every_curve: $(RUNS:=/curve/provenance.json)

ifdef LOGGED
LOG = $(subst /recipes/,/logs/,$(<:.yaml=.log))
SHELL := /bin/bash
.SHELLFLAGS = -c $(if $<,'mkdir -p $(dir $(LOG)) && exec $$BASH -c "$$1" >> $(LOG) 2>&1' stage)
endif

$(R)/corpus/provenance.json: $(R)/recipes/corpus.yaml $(R)/benchmarks/provenance.json
	$(ONCE) python data_builders/corpus.py --config $<

$(R)/base_tokenizer/provenance.json: $(R)/recipes/base_tokenizer.yaml $(R)/corpus/provenance.json
	$(ONCE) python tokenizers/base.py --config $<

$(R)/benchmarks/provenance.json: $(R)/recipes/benchmarks.yaml
	$(ONCE) python data_builders/benchmarks.py --config $<

$(R)/posttrain/provenance.json: $(R)/recipes/posttrain.yaml $(R)/benchmarks/provenance.json
	$(ONCE) python data_builders/posttrain.py --config $<

$(EVERY_ARM:=/tokenizer/provenance.json): $(R)/%/tokenizer/provenance.json: $(R)/%/recipes/tokenizer.yaml $(R)/base_tokenizer/provenance.json
	$(ONCE) python tokenizers/build.py --config $<

$(EVERY_ARM:=/tokens/provenance.json): $(R)/%/tokens/provenance.json: $(R)/%/recipes/tokens.yaml $(R)/%/tokenizer/provenance.json
	$(ONCE) python data_builders/tokens.py --config $<

$(EVERY_ARM:=/lengths/provenance.json): $(R)/%/lengths/provenance.json: \
		$(R)/%/recipes/lengths.yaml $(R)/%/tokenizer/provenance.json $(R)/posttrain/provenance.json
	$(ONCE) python data_builders/lengths.py --config $<

# Below, % is <condition>/seed-<n>, and $(*D) the condition.

$(EVERY_RUN:=/pretrain_final/provenance.json): $(R)/%/pretrain_final/provenance.json: \
		$(R)/%/recipes/pretrain.yaml $(R)/$$(*D)/tokens/provenance.json | $(R)/$$(*D)/lengths/provenance.json
	$(ONCE) python modeling/supervise.py --folder $(@D:_final=_checkpoints) -- $(PRETRAIN) modeling/pretrain.py --config $<

$(EVERY_RUN:=/curve/provenance.json): $(R)/%/curve/provenance.json: \
		$(R)/%/recipes/curve.yaml $(R)/%/pretrain_final/provenance.json
	$(ONCE) python evals/curve.py --config $<

# A declared control may take its steps from the bytes that an arm reads.
$(foreach control,$(CONTROLS),$(foreach seed,$(SEEDS),$(R)/$(control)/seed-$(seed)/pretrain_final/provenance.json)): \
		| $(CONDITIONS:%=$(R)/%/tokens/provenance.json)

# SFT or GRPO, $(1), by TRL's own command, which is left out when a kill came after its last step; $(2) goes to prepare.
define TRL
$(ONCE) bash -c 'resume="$$(python modeling/trl_stage.py prepare --config $< --processes $(PROCESSES) $(2))" && \
{ test "$$resume" = finished || python modeling/supervise.py --folder $(R)/$*/$(1)_training -- \
trl $(1) --config $< --accelerate_config $(TRAIN_ACCELERATE) $(LAUNCH) --quiet $$resume; } && \
python modeling/trl_stage.py finish --config $< --evaluation $(R)/$*/recipes/eval.yaml --output_dir $(R)/$*/$(1)_final'
endef

$(EVERY_RUN:=/sft_final/provenance.json): $(R)/%/sft_final/provenance.json: \
		$(R)/%/recipes/sft.yaml $(R)/%/pretrain_final/provenance.json $(R)/posttrain/provenance.json
	$(call TRL,sft)

$(EVERY_RUN:=/readiness/provenance.json): $(R)/%/readiness/provenance.json: \
		$(R)/%/recipes/readiness.yaml $(R)/%/sft_final/provenance.json $(R)/posttrain/provenance.json
	$(ONCE) python evals/readiness.py --config $<

# GRPO is trained, or the gate stops it and leaves grpo_stopped.json: then the run goes on with what it has. What follows
# needs the gate's record and one of the two files; after a change before the gate, one may give way to the other.
define GRPO
python modeling/gate.py --run_dir $(R)/$*
test -e $(R)/$*/grpo_stopped.json || $(call TRL,grpo,--readiness $(R)/$*/readiness)
endef
TRAINED = $(foreach run,$(1),$(run)/readiness/provenance.json \
	$(or $(wildcard $(run)/grpo_stopped.json),$(run)/grpo_final/provenance.json))

$(EVERY_RUN:=/grpo_final/provenance.json): $(R)/%/grpo_final/provenance.json: \
		$(R)/%/recipes/grpo.yaml $(R)/%/readiness/provenance.json
	$(GRPO)

$(EVERY_RUN:=/grpo_stopped.json): $(R)/%/grpo_stopped.json: $(R)/%/recipes/grpo.yaml $(R)/%/readiness/provenance.json
	$(GRPO)

# One run by itself; the runs of an experiment together, in as many processes as JOBS: loading lighteval takes longer than
# evaluating a small checkpoint. Runs that are evaluated already are left alone, and one that fails takes no other along.
ifeq ($(firstword $(MAKECMDGOALS)),$(RUN)/eval/provenance.json)
$(RUN)/eval/provenance.json: $(RUN)/recipes/eval.yaml $(call TRAINED,$(RUN)) $(R)/benchmarks/provenance.json
	$(ONCE) python evals/evaluate.py --config $<
else
RUNS_EACH = $$(( ($(words $(RUNS)) + $(JOBS) - 1) / $(JOBS) ))
$(RUNS:=/eval/provenance.json) &: $(RUNS:=/recipes/eval.yaml) $(call TRAINED,$(RUNS)) $(R)/benchmarks/provenance.json
	python -m mulfact.experiment.once --unfinished $(filter %/recipes/eval.yaml,$^) | xargs -r -n $(RUNS_EACH) -P $(JOBS) python evals/evaluate.py --config
endif

$(EVERY_RUN:=/ledger.json): $(R)/%/ledger.json: $(R)/%/recipes/ledger.yaml $$(call TRAINED,$(R)/$$*)
	$(ONCE) python evals/ledger.py --config $<

$(R)/report/provenance.json: $(R)/recipes/compare.yaml $(RUNS:=/eval/provenance.json) $(RUNS:=/ledger.json) $(RUNS:=/curve/provenance.json)
	$(ONCE) python evals/compare.py --config $<

# A record appears whole, as the last act of its stage, and another command may have written it: make never deletes one.
.PRECIOUS: $(patsubst %,$(R)/%/provenance.json,corpus base_tokenizer benchmarks posttrain report) \
	$(foreach stage,tokenizer tokens lengths,$(EVERY_ARM:=/$(stage)/provenance.json)) \
	$(foreach stage,pretrain_final curve sft_final readiness grpo_final eval,$(EVERY_RUN:=/$(stage)/provenance.json)) \
	$(EVERY_RUN:=/grpo_stopped.json) $(EVERY_RUN:=/ledger.json)

# ---------------------------------------------------------------- the Hub

ORG      ?= $(error say who: make ORG=<user or organisation on the Hub>)
PUBLIC   ?=
REVISION ?= main
FLAVOR   ?= $(error say which machine: make jobs FLAVOR=a100-large (hf jobs hardware lists them))
TIMEOUT  ?=
GO       ?=
MODEL    ?= $(error say which: make stranger MODEL=<user>/<repository>)
# CONDITION=<arm> on the command line means that one; else all of CONDITIONS.
CHOSEN = $(if $(filter command,$(firstword $(origin CONDITION))),$(CONDITION),$(CONDITIONS))

push: $(INSTALLED) ## upload tokenizers, data, checkpoints, report and playground as ORG's, private unless PUBLIC=1 (REPLACE=1: over another run)
	python release/playground.py --shared_dir $(R) --conditions $(CHOSEN)
	python release/push.py --org $(ORG) --shared_dir $(R) --conditions $(CHOSEN) --seeds $(SEEDS) $(if $(PUBLIC),--public) $(if $(REPLACE),--replace)

jobs: $(INSTALLED) ## an experiment on a rented FLAVOR of Hugging Face, paid by ORG: prints the job, and with GO=1 submits it
	python release/jobs.py --scale $(SCALE) --conditions $(CONDITIONS) --seeds $(SEEDS) --flavor $(FLAVOR) --org $(ORG) \
		$(if $(TIMEOUT),--timeout $(TIMEOUT)) --settings JOBS=$(JOBS) $(if $(PRICE),PRICE=$(PRICE)) \
		$(if $(CONTROLS),'CONTROLS=$(CONTROLS)') $(if $(filter-out 1,$(PROCESSES)),PROCESSES=$(PROCESSES)) \
		$(call NAMED_HERE,LIVE,LIVE=$(LIVE)) \
		$(if $(GSM8K),'GSM8K=$(GSM8K)') $(if $(OVERRIDES),"OVERRIDES=$$OVERRIDES") $(if $(GO),--go)

pull: $(INSTALLED) ## fetch ORG's checkpoints and evaluate them (SCALE, CONDITIONS, SEEDS, REVISION)
	python release/pull.py --org $(ORG) --scale $(SCALE) --conditions $(CHOSEN) --seeds $(SEEDS) \
		--output_dir $(OUTPUTS)/pulled --revision $(REVISION)

stranger: ## load MODEL by name in a new environment with torch and transformers alone, and ask it two things
	$(PYTHON) -m venv --clear $(OUTPUTS)/stranger
	$(OUTPUTS)/stranger/bin/pip install --quiet torch==2.13.0 transformers==5.24.0
	$(OUTPUTS)/stranger/bin/python -I release/stranger.py $(MODEL)

# ---------------------------------------------------------------- development

BROWSER := $(firstword $(foreach name,chromium chromium-browser google-chrome chrome,$(shell command -v $(name))))

# A file is one worker's: its tests share what they build; the long ones come first. (xdist 3.8 does not see xdist_group
# under pytest 9.2.)
test: $(INSTALLED) ## the tests, on two workers
	$(if $(BROWSER),,@echo "no Chromium here: the tests of the playground's page in a browser are left out")
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(if $(BROWSER),,-m 'not browser')

quality: $(INSTALLED) ## ruff, mypy, and the direction of imports
	ruff check .
	ruff format --check .
	mypy
	lint-imports

gpu_check: $(INSTALLED) ## is this GPU right, and what does it do? A quarter of an hour (NANOGPT=<checkout>, GSM8K=<folder>)
	python benchmarks/gpu_check.py $(if $(NANOGPT),--nanogpt $(NANOGPT)) $(if $(GSM8K),--gsm8k $(GSM8K))

audit: $(INSTALLED) ## look the installed packages up among known vulnerabilities
	pip-audit --strict --vulnerability-service osv --progress-spinner off

clean: $(if $(wildcard $(R)),$(INSTALLED)) ## remove what was made at SCALE; over finished training it wants AGAIN=1
	@test ! -e $(R) || python -m mulfact.experiment.clean $(R)
	rm -rf $(R)

# uv takes a third of pip's time; what pip is told by the environment, uv is told too.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_EXTRA_INDEX_URL ?= $(PIP_EXTRA_INDEX_URL)
INSTALL = --constraint requirements.lock --editable '.[test,quality]'

$(VENV)/.installed: setup.cfg pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: $(PYTHON) is Python %d.%d and mulfact \
	needs 3.11 or later: say make PYTHON=python3.12, or the path of another one" % sys.version_info[:2])'
	$(PYTHON) -m venv --clear $(VENV)
	@echo "installing the packages of requirements.lock into $(VENV): one to three minutes"
	@pip install --quiet --constraint requirements.lock uv && uv pip install $(INSTALL) || pip install $(INSTALL)
	@touch $@

.PHONY: help smoke study runs curves experiment show worker plan halves compare every_run every_curve corpus base_tokenizer posttrain benchmarks tokenizer \
	tokens lengths inspect playground rewrites pretrain curve sft readiness grpo eval lm_eval_tasks lm_eval_agreement ledger \
	push jobs pull stranger test quality gpu_check audit clean
