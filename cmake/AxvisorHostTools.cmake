# Builds axconfig and xtask for this machine, before the board's own project() exists.
include_guard(GLOBAL)
