# aw_embed(OUTPUT SYMBOL FILE): a C file that holds FILE's text as `const char SYMBOL[]`.
function(aw_embed output symbol file)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} text)
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
    file(WRITE ${output}.new
        "#include \"signer/service.h\"\n\nconst char ${symbol}[] =\n    \"${text}\";\n")
    file(COPY_FILE ${output}.new ${output} ONLY_IF_DIFFERENT)
endfunction()
