/* Opening libraries that are not what they should be. */
#include "harness.h"

CASE(a_library_that_is_not_there_is_named)
{
    CHECK(gn_api_open(path_to("nothing-here"), &error) == NULL);
    CHECK(error.code == GN_ERROR_LIBRARY);
    CHECK_HAS(error.message, "nothing-here");
}

CASE(a_file_that_is_no_library_is_refused)
{
    CHECK(gn_api_open(path_to("model.litertlm"), &error) == NULL);
    CHECK(error.code == GN_ERROR_LIBRARY);
    CHECK_HAS(error.message, "model.litertlm");
}

CASE(a_directory_is_refused)
{
    CHECK(gn_api_open(path_to("."), &error) == NULL);
    CHECK(error.code == GN_ERROR_LIBRARY);
    CHECK(error.message[0] != '\0');
}

CASE(the_missing_symbols_are_named_and_no_others)
{
    CHECK(gn_api_open(path_to("partial/liblitert-lm.so"), &error) == NULL);
    CHECK(error.code == GN_ERROR_SYMBOL);
    CHECK_TEXT(error.message, "litert_lm_clear_last_error, litert_lm_conversation_clone");
}

static void name_all(char *names, size_t room)
{
    snprintf(names, room, "%s", gn_api_symbols());
    CHECK(strncmp(names, "litert_lm_", 10) == 0 && names[strlen(names) - 1] != '\n');
}

CASE(all_symbols_can_be_missing_and_are_all_named)
{
    char names[8192];
    CHECK(gn_api_open(path_to("empty/libempty.so"), &error) == NULL);
    CHECK(error.code == GN_ERROR_SYMBOL);
    name_all(names, sizeof names);
    size_t missing = 0;
    for (char *name = strtok(names, "\n"); name != NULL; name = strtok(NULL, "\n")) {
        CHECK_HAS(error.message, name);
        missing++;
    }
    size_t listed = 1;
    for (const char *comma = strchr(error.message, ','); comma != NULL; comma = strchr(comma + 1, ',')) {
        listed++;
    }
    CHECK(listed == missing);
}

CASE(a_library_can_be_opened_twice)
{
    gn_api *again = gn_api_open(path_to("liblitert-lm.so"), &error);
    CHECK(again != NULL && error.code == 0);
    LiteRtLmEngine *engine = make_engine();
    gn_engine_delete(again, engine);
    gn_free(again);
}
