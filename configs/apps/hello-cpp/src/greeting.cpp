#include "greeting.hpp"

std::string greeting(std::string_view whom) { return "Hello, " + std::string(whom) + "!"; }
