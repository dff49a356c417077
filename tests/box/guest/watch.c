/*
 * Watches lines of the emulated board: watch-lines SPAN_MS LINE...
 *
 * Says the levels at first and at each change, as the milliseconds since the begin and a digit for each line, and in the
 * last line when it ended. A shell would look too seldom for a wink.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINES_MAX = 8, LOOK_EVERY_US = 1000 };

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static int open_line(const char *line) {
    char pattern[96];
    glob_t found;
    snprintf(pattern, sizeof pattern, "/sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio%s/value", line);
    int file = glob(pattern, 0, NULL, &found) == 0 ? open(found.gl_pathv[0], O_RDONLY) : -1;
    globfree(&found);
    return file;
}

int main(int count, char **words) {
    int lines = count - 2, files[LINES_MAX];
    char levels[LINES_MAX + 1] = "", before[LINES_MAX + 1] = "";
    if (lines < 1 || lines > LINES_MAX) return 64;
    long span_ms = atol(words[1]);
    for (int line = 0; line < lines; line++) {
        files[line] = open_line(words[2 + line]);
        if (files[line] < 0) return 66;
    }
    long begun = now_ms(), now;
    do {
        for (int line = 0; line < lines; line++)
            if (pread(files[line], &levels[line], 1, 0) != 1) return 74;
        now = now_ms();
        if (strcmp(levels, before) != 0) {
            printf("%ld %s\n", now - begun, levels);
            strcpy(before, levels);
        }
        usleep(LOOK_EVERY_US);
    } while (now - begun < span_ms);
    printf("end %ld\n", now - begun);
    return 0;
}
