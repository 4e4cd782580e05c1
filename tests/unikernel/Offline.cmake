# Without a network and with an empty cache a build says what it lacks, in words by which the other tests are skipped.
#   cmake -D XTASK=... -D SOURCE=source tree -D PROGRAM=application -D SKIPS=regex -D FOLDER=... -P Offline.cmake
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER}/tree)
# A source tree in which nothing has been built.
foreach(part CMakeLists.txt CMakePresets.json cmake configs kernel platforms tools unikernel xtask)
  file(CREATE_LINK ${SOURCE}/${part} ${FOLDER}/tree/${part} SYMBOLIC)
endforeach()
file(COPY ${PROGRAM}/app.toml DESTINATION ${FOLDER}/program)
foreach(way offline unreachable)
  set(environment --unset=AXVISOR_OFFLINE AXVISOR_CACHE=${FOLDER}/cache AXVISOR_ROOT=${FOLDER}/tree http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9)
  if(way STREQUAL "offline")
    list(APPEND environment AXVISOR_OFFLINE=1)
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E env ${environment} ${XTASK} app build ${FOLDER}/program OUTPUT_VARIABLE output ERROR_VARIABLE output
    RESULT_VARIABLE status)
  if(status EQUAL 0 OR NOT output MATCHES "musl" OR NOT output MATCHES "with a network the next build fetches it" OR NOT output MATCHES "${SKIPS}")
    message(FATAL_ERROR "${way}: ${status}\n${output}")
  endif()
endforeach()
