# Every target of ours links aw_flags; nothing is set globally. Which of these
# are on is chosen by CMakePresets.json.
option(ACMEWARD_WERROR "Warnings are errors" OFF)
option(ACMEWARD_HARDEN "Hardening flags for release builds" OFF)
set(ACMEWARD_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
option(ACMEWARD_COVERAGE "Instrument for gcov" OFF)

add_library(aw_flags INTERFACE)
target_compile_features(aw_flags INTERFACE c_std_17)
target_compile_definitions(aw_flags INTERFACE _GNU_SOURCE ACMEWARD_VERSION="${PROJECT_VERSION}")
target_include_directories(aw_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(aw_flags INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wswitch-enum -Wnull-dereference
    $<$<C_COMPILER_ID:Clang>:-Wno-unused-command-line-argument> -fno-common -fno-strict-aliasing)
# A library that is named for a static one of ours, but not called, is not loaded at each start.
target_link_options(aw_flags INTERFACE -Wl,--as-needed)
# Hundreds of test programs are linked a build: lld takes a third of ld's time. What is released is
# linked by the toolchain's own.
find_program(ACMEWARD_LLD NAMES ld.lld DOC "Linker of builds without optimisation; ld where it is absent")
mark_as_advanced(ACMEWARD_LLD)
if(ACMEWARD_LLD AND CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_link_options(aw_flags INTERFACE -fuse-ld=lld)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    # Archives name the objects instead of copying them, with their index from the beginning.
    set(CMAKE_C_ARCHIVE_CREATE "<CMAKE_AR> qcsT <TARGET> <LINK_FLAGS> <OBJECTS>")
    set(CMAKE_C_ARCHIVE_APPEND "<CMAKE_AR> qsT <TARGET> <LINK_FLAGS> <OBJECTS>")
    set(CMAKE_C_ARCHIVE_FINISH "")
endif()
if(ACMEWARD_WERROR)
    target_compile_options(aw_flags INTERFACE -Werror)
endif()
if(ACMEWARD_SANITIZE)
    target_compile_options(aw_flags INTERFACE
        -fsanitize=${ACMEWARD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(aw_flags INTERFACE -fsanitize=${ACMEWARD_SANITIZE})
    # Sandboxes leave what the instrumentation needs (common/sandbox.h); no release build has this.
    target_compile_definitions(aw_flags INTERFACE ACMEWARD_INSTRUMENTED)
    # Parsers are most of what fuzz targets and hundreds of starts of a signer do.
    set(ACMEWARD_PARSER_OPTIONS -O1)
endif()
if(ACMEWARD_COVERAGE)
    # Counters of threads must not be lost; gcov would report some branches as taken -18 times.
    target_compile_options(aw_flags INTERFACE --coverage -O0 -fprofile-update=atomic)
    target_link_options(aw_flags INTERFACE --coverage)
    target_compile_definitions(aw_flags INTERFACE ACMEWARD_INSTRUMENTED
        ACMEWARD_COUNTERS="${PROJECT_BINARY_DIR}")
endif()
if(ACMEWARD_HARDEN)
    target_compile_options(aw_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
        -fcf-protection=full -fPIE
        # The same binaries wherever they are built.
        -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
    target_link_options(aw_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,defs)
endif()
