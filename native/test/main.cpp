#include "check.hpp"

int main(int argc, char ** argv) {
    return gatun_test::run(argc, argv);
}
