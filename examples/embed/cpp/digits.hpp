// The digits network as a C++17 class around the C interface: owns the workspace, throws on errors.
#pragma once

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "digits.h"

class Digits {
public:
    using Picture = std::array<float, DIGITS_INPUT_SIZE>;
    using Scores = std::array<float, DIGITS_OUTPUT_SIZE>;

    Digits()
    {
        if (digits_check() != 0)
            throw std::runtime_error("this processor cannot run the network");
    }

    Scores operator()(const Picture &picture)
    {
        Scores scores;
        if (const int code = digits_infer(picture.data(), scores.data(), workspace_.data()); code != CNNCC_OK)
            throw std::runtime_error("the network returned error " + std::to_string(code));
        return scores;
    }

    static const char *label(const Scores &scores)
    {
        static constexpr std::array<const char *, DIGITS_LABEL_COUNT> labels = DIGITS_LABELS;
        return labels[static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin())];
    }

private:
    // Zero before the first call, and aligned wherever the object lies.
    alignas(DIGITS_ALIGNMENT) std::array<unsigned char, DIGITS_WORKSPACE_BYTES> workspace_{};
};
