// Products of one vector for each mode.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace fourfold::gp {

// values_0 (x) ... (x) values_{d-1}; a lone 1 for d = 0.
template <class T>
std::vector<T> outer(int d, const std::ptrdiff_t* sizes, const T* const* values, std::ptrdiff_t item) {
    std::vector<T> product{T(1)};
    for (int k = 0; k < d; ++k) {
        std::vector<T> next;
        next.reserve(product.size() * static_cast<std::size_t>(sizes[k]));
        for (const T factor : product) {
            for (std::ptrdiff_t i = 0; i < sizes[k]; ++i) next.push_back(factor * values[k][item * sizes[k] + i]);
        }
        product = std::move(next);
    }
    return product;
}

// The number of points of the grid.
inline std::ptrdiff_t points(int d, const std::ptrdiff_t* sizes) {
    std::ptrdiff_t product = 1;
    for (int k = 0; k < d; ++k) product *= sizes[k];
    return product;
}

}  // namespace fourfold::gp
