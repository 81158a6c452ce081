# Embeds every file of web/ in the daemon: web_files[] of http/files.h, by path. A file that
# changes is embedded again, one that comes or goes is noticed by the next build.
set(web_type_html "text/html; charset=utf-8")
set(web_type_js "text/javascript; charset=utf-8")
set(web_type_mjs "text/javascript; charset=utf-8")
set(web_type_css "text/css; charset=utf-8")
set(web_type_json "application/json")
set(web_type_webmanifest "application/manifest+json")
set(web_type_txt "text/plain; charset=utf-8")
set(web_type_svg "image/svg+xml")
set(web_type_png "image/png")
set(web_type_ico "image/vnd.microsoft.icon")
set(web_type_webp "image/webp")
set(web_type_wav "audio/wav")
set(web_type_wasm "application/wasm")
set(web_type_woff2 "font/woff2")

file(GLOB web_inputs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*)
set(web_dir ${CMAKE_BINARY_DIR}/web)
set(web_arrays)
set(web_entries)
set(web_outputs)
foreach(input ${web_inputs})
	get_filename_component(name ${input} NAME)
	get_filename_component(extension ${input} LAST_EXT)
	if(IS_DIRECTORY ${input} OR name MATCHES "^\\.|~$")
		continue()
	endif()
	string(REPLACE "." "" extension "${extension}")
	if(NOT DEFINED web_type_${extension})
		message(FATAL_ERROR "web/${name}: which content type has .${extension}? Add it to cmake/web.cmake.")
	endif()
	string(MAKE_C_IDENTIFIER "file_${name}" id)
	add_custom_command(OUTPUT ${web_dir}/${name}.inc
		COMMAND ${CMAKE_COMMAND} -DIN=${input} -DOUT=${web_dir}/${name}.inc -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
		DEPENDS ${input} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
		COMMENT "Embedding web/${name}" VERBATIM)
	list(APPEND web_outputs ${web_dir}/${name}.inc)
	string(APPEND web_arrays "static const uint8_t ${id}[] = {\n#include \"${name}.inc\"\n};\n")
	string(APPEND web_entries "\t{\"/${name}\", \"${web_type_${extension}}\", ${id}, sizeof ${id} - 1},\n")
endforeach()

file(CONFIGURE OUTPUT ${web_dir}/web_files.c @ONLY CONTENT
"/* Made from web/ by cmake/web.cmake. */
#include \"http/files.h\"

extern const struct http_file web_files[];
extern const size_t web_files_count;

@web_arrays@
const struct http_file web_files[] = {
@web_entries@	{0}, /* not counted */
};
const size_t web_files_count = sizeof web_files / sizeof *web_files - 1;
")
set_source_files_properties(${web_dir}/web_files.c PROPERTIES OBJECT_DEPENDS "${web_outputs}")
target_sources(daemon PRIVATE ${web_dir}/web_files.c ${web_outputs})
