// Which digits are in these pictures? Raw pictures of 8 by 8 bytes, white ink on black.
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>

#include "digits.hpp"

int main(int argc, char **argv)
try {
    const auto digits = std::make_unique<Digits>();
    for (int i = 1; i < argc; i++) {
        std::array<char, DIGITS_INPUT_SIZE> bytes{};
        if (!std::ifstream(argv[i], std::ios::binary).read(bytes.data(), bytes.size()))
            throw std::runtime_error(std::string(argv[i]) + ": not a picture of 8 by 8 bytes");
        Digits::Picture picture;
        std::transform(bytes.begin(), bytes.end(), picture.begin(),
                       [](char grey) { return static_cast<float>(static_cast<unsigned char>(grey)) / 255; });
        std::printf("%s: %s\n", argv[i], Digits::label((*digits)(picture)));
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
