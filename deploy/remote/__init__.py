"""The command line on an engineer's machine or in a pipeline: talks REST only, imports neither plane.

Standard library and tomlkit, so that it starts fast and installs anywhere: `switchyard key helper` runs every few
minutes in the middle of somebody's work.
"""
