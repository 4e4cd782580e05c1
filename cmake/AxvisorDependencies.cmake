# Libraries of the host side. Debian's -dev package first; else the released archive, checked against its hash.
# FETCHCONTENT_SOURCE_DIR_<NAME> points a fallback at a local source tree.
include_guard(GLOBAL)
include(FetchContent)
include(GoogleTest)

find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
