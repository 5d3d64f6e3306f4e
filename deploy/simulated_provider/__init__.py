"""An upstream provider that is not one: it speaks the four client protocols and keeps books of what it said.

Pure: behaviour, ask, task, toolbox, schema_values, answer, metering, frames, faults, failures, model_lists and one file
per protocol. Rim: server, ledger, scripted, __main__. Imports neither plane.
"""
