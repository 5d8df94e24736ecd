#include "common/program.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "common/result.h"

/* Of getopt_long: flags by their place, behind every letter. */
enum { FLAGS = 256 };

static int
take(const struct aw_program *program, int option)
{
    if (option == 'c') {
        *program->config = optarg;
    } else if (option >= FLAGS) {
        *program->flags[option - FLAGS].set = true;
    } else if (option == 'V') {
        printf("%s " ACMEWARD_VERSION "\n", program->name);
        return 0;
    } else {
        fputs(program->usage, option == 'h' ? stdout : stderr);
        return option == 'h' ? 0 : aw_code_exit(AW_CODE_USAGE);
    }
    return -1;
}

int
aw_program_options(const struct aw_program *program, int argc, char **argv)
{
    struct option options[AW_PROGRAM_FLAGS_MAX + 4] = {{"config", required_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}};
    int option;

    for (size_t i = 0; i < program->flag_count; i++)
        options[3 + i] = (struct option){program->flags[i].name, no_argument, NULL, FLAGS + (int)i};
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int status = take(program, option);
        if (status != -1)
            return status;
    }
    if (optind == argc)
        return -1;
    fprintf(
        stderr, "%s: \"%s\" is not expected here\n%s", program->name, argv[optind], program->usage);
    return aw_code_exit(AW_CODE_USAGE);
}

void
aw_program_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

void
aw_program_failed(const char *name)
{
    const struct aw_error *error = aw_error_last();

    fprintf(stderr, "%s: %s\n", name, error->message);
    if (error->hint[0] != '\0')
        fprintf(stderr, "%s: %s\n", name, error->hint);
}

bool
aw_program_descriptors(rlim_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return true;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == wanted;
}
