# Run by CPack on the staged files: Debian policy 12.1 and 12.3 want man pages and changes compressed.
set(share ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*/usr/share)
file(GLOB pages ${share}/man/man[1-8]/*.[1-8] ${share}/doc/*/changelog
    ${share}/doc/*/changelog.Debian)
if(NOT pages)
    message(FATAL_ERROR "no man pages below ${share}")
endif()
foreach(page ${pages})
    execute_process(COMMAND gzip -9nf ${page} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
