// Memory as the GPU's kernels find it: full of NaN. The sanitizer sees what is written beyond its end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

template <class T>
inline std::vector<T> poisoned(std::size_t size) {
    return std::vector<T>(size, std::numeric_limits<T>::quiet_NaN());
}

// As much as the GPU's block gets, full of NaN.
class Shared {
public:
    explicit Shared(std::size_t bytes) : memory_(new double[(bytes + 7) / 8]) {
        std::fill_n(memory_.get(), (bytes + 7) / 8, std::numeric_limits<double>::quiet_NaN());
    }
    unsigned char* get() { return reinterpret_cast<unsigned char*>(memory_.get()); }

private:
    std::unique_ptr<double[]> memory_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
