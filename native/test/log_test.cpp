#include "check.hpp"

#include <map>
#include <set>
#include <thread>

namespace {

struct line {
    int level;
    std::string text;
};

std::vector<line> drain() {
    std::vector<line> lines;
    char buffer[512];
    int32_t level = 0;
    while (gatun_log_next(&level, buffer, sizeof(buffer)) >= 0) {
        lines.push_back({level, buffer});
    }
    return lines;
}

void start(int level) {
    gatun_log_install(level);
    drain();
    gatun_log_dropped();
}

} // namespace

TEST("pieces of one line are joined, at the level of the first") {
    start(GGML_LOG_LEVEL_INFO);
    gatun_log_emit(GGML_LOG_LEVEL_WARN, "loading ");
    gatun_log_emit(GGML_LOG_LEVEL_CONT, "...");
    CHECK_EQUAL(gatun_log_pending(), 0);
    gatun_log_emit(GGML_LOG_LEVEL_CONT, " done\n");
    const auto lines = drain();
    CHECK_EQUAL(lines.size(), 1u);
    CHECK_EQUAL(lines[0].text, "loading ... done");
    CHECK_EQUAL(lines[0].level, static_cast<int>(GGML_LOG_LEVEL_WARN));
}

TEST("a new piece ends a line that was left open, and one piece may hold several lines") {
    start(GGML_LOG_LEVEL_INFO);
    gatun_log_emit(GGML_LOG_LEVEL_INFO, "left open");
    gatun_log_emit(GGML_LOG_LEVEL_ERROR, "one\r\ntwo\n");
    const auto lines = drain();
    CHECK_EQUAL(lines.size(), 3u);
    CHECK_EQUAL(lines[0].text, "left open");
    CHECK_EQUAL(lines[1].text, "one");
    CHECK_EQUAL(lines[2].text, "two");
}

TEST("lines below the lowest level are not kept") {
    start(GGML_LOG_LEVEL_WARN);
    gatun_log_emit(GGML_LOG_LEVEL_INFO, "quiet\n");
    gatun_log_emit(GGML_LOG_LEVEL_CONT, "still quiet\n");
    gatun_log_emit(GGML_LOG_LEVEL_WARN, "loud\n");
    const auto lines = drain();
    CHECK_EQUAL(lines.size(), 1u);
    CHECK_EQUAL(lines[0].text, "loud");
}

TEST("many threads at once: no line is lost, mixed with another or out of its thread's order") {
    start(GGML_LOG_LEVEL_INFO);
    constexpr int threads = 8;
    constexpr int lines_each = 400; // 3,200 in all: fits the queue
    std::vector<std::thread> writers;
    for (int writer = 0; writer < threads; writer++) {
        writers.emplace_back([writer] {
            for (int i = 0; i < lines_each; i++) {
                gatun_log_emit(GGML_LOG_LEVEL_INFO, ("w" + std::to_string(writer)).c_str());
                gatun_log_emit(GGML_LOG_LEVEL_CONT, " ");
                gatun_log_emit(GGML_LOG_LEVEL_CONT, (std::to_string(i) + "\n").c_str());
            }
        });
    }
    for (auto & writer : writers) {
        writer.join();
    }
    std::map<std::string, int> next;
    int count = 0;
    for (const auto & line : drain()) {
        const size_t space = line.text.find(' ');
        CHECK(space != std::string::npos);
        CHECK_EQUAL(line.text.substr(space + 1), std::to_string(next[line.text.substr(0, space)]++));
        count++;
    }
    CHECK_EQUAL(count, threads * lines_each);
    CHECK_EQUAL(next.size(), static_cast<size_t>(threads));
    CHECK_EQUAL(gatun_log_dropped(), 0);
}

TEST("a thread that ends gives up the line it left open") {
    start(GGML_LOG_LEVEL_INFO);
    std::thread([] { gatun_log_emit(GGML_LOG_LEVEL_INFO, "last words"); }).join();
    const auto lines = drain();
    CHECK_EQUAL(lines.size(), 1u);
    CHECK_EQUAL(lines[0].text, "last words");
}

TEST("a full queue drops the oldest lines and counts them") {
    start(GGML_LOG_LEVEL_INFO);
    for (int i = 0; i < 4096 + 10; i++) {
        gatun_log_emit(GGML_LOG_LEVEL_INFO, (std::to_string(i) + "\n").c_str());
    }
    CHECK_EQUAL(gatun_log_pending(), 4096);
    CHECK_EQUAL(gatun_log_dropped(), 10);
    CHECK_EQUAL(gatun_log_dropped(), 0);
    CHECK_EQUAL(drain().front().text, "10");
    CHECK_EQUAL(gatun_log_pending(), 0);
}

TEST("a line is cut on a character border") {
    start(GGML_LOG_LEVEL_INFO);
    gatun_log_emit(GGML_LOG_LEVEL_INFO, "a\xC3\xA4\xE2\x82\xAC!\n"); // a, ä, €, !
    char buffer[6];
    int32_t level = 0;
    CHECK_EQUAL(gatun_log_next(&level, buffer, sizeof(buffer)), 3);
    CHECK_EQUAL(std::string(buffer), "a\xC3\xA4");
    CHECK_EQUAL(gatun_log_next(&level, buffer, sizeof(buffer)), -1);
}
