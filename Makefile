# Switchyard. `make help` lists what there is.

.DEFAULT_GOAL := help
.PHONY: help up doctor test bench crowd kill-cycles test-clients screenshots proto lock clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

up:  ## the whole platform on this machine, in the foreground; Ctrl-C stops it
	@sh deploy/local/up

doctor:  ## what is wrong with this machine or its settings
	@sh deploy/local/bootstrap local
	@.venv/bin/switchyard doctor

test:  ## lint, types, import contracts, all tests (ARGS="tests/contract -k seal" for some)
	@sh deploy/local/check $(ARGS)

bench:  ## one pod on one core beside a bare proxy and nginx: CPU and added latency
	@sh deploy/local/bootstrap dev
	@.venv/bin/python -m tests.load.bench $(ARGS)

crowd:  ## pages, lists and snapshots with 50,000 keys and 5,000 people: times and queries
	@sh deploy/local/bootstrap dev
	@.venv/bin/python -m tests.load.crowd_times $(ARGS)

kill-cycles:  ## 200 random kills under load, then the ledger beside the provider's books (ARGS="--cycles 20 --seed 7")
	@sh deploy/local/bootstrap dev
	@.venv/bin/python -m tests.end_to_end.kill_cycles $(or $(ARGS),--cycles 200 --seed 1 --report docs/reports/kill-cycles.md)

test-clients:  ## real coding tools from npm, through a running platform; ARGS=refusals: what they do when told no
	@sh deploy/local/bootstrap dev
	@.venv/bin/python -m tests.clients $(ARGS)

screenshots:  ## every console page in both themes, into screenshots/
	@sh deploy/local/bootstrap dev
	@.venv/bin/python -m tests.browser.screenshots $(ARGS)

proto:  ## regenerate the contract's code from proto/**/*.proto
	@sh deploy/local/bootstrap dev
	@.venv/bin/python -m grpc_tools.protoc -I proto --python_out=proto --pyi_out=proto --grpc_python_out=proto \
		proto/switchyard_contract/v1/*.proto

lock:  ## resolve pyproject.toml into deploy/locks (ARGS=--upgrade for the newest)
	@sh deploy/local/bootstrap dev
	@sh deploy/local/lock $(ARGS)

clean:  ## remove what can be made again; the data in .switchyard stays
	rm -rf .venv .bootstrap .mypy_cache .ruff_cache .hypothesis .import_linter_cache
