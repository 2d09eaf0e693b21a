// Covariance functions (covariance.hpp) as a GPU's threads evaluate them. Internal linkage: included by GPU sources,
// and by tests that run them on the host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gp/covariance_call.hpp"
#include "gp/covariance_formula.hpp"
#include "support/gpu_block.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

FOURFOLD_INLINE double lag_at(const GpuLags& lags, std::size_t i) {
    if (lags.y == nullptr) return lags.x[i];
    if (lags.n <= 0xffffffffu) {  // a division of 64 bits takes five times as long
        const auto at = static_cast<std::uint32_t>(i), columns = static_cast<std::uint32_t>(lags.columns);
        return lags.x[at / columns] - lags.y[at % columns];
    }
    return lags.x[i / lags.columns] - lags.y[i % lags.columns];
}

// Calls f.template operator()<Form>() for a form that has Top derivatives at lag 0.
template <int Top, class F>
FOURFOLD_INLINE void with_form(Form form, F f) {
    if constexpr (Top == 0) {
        if (form == Form::matern12) return f.template operator()<Form::matern12>();
    }
    if constexpr (Top <= 2) {
        if (form == Form::matern32) return f.template operator()<Form::matern32>();
    }
    switch (form) {
        case Form::gaussian: return f.template operator()<Form::gaussian>();
        case Form::matern52: return f.template operator()<Form::matern52>();
        case Form::rational_quadratic: return f.template operator()<Form::rational_quadratic>();
        case Form::periodic: return f.template operator()<Form::periodic>();
        default: return;
    }
}

// The orders that are wanted, into out or, with `add`, added to what is there.
template <int Top>
FOURFOLD_INLINE void write_jet(const Jet& out, bool add, std::size_t i, const double* values) {
    each_order<Top>([&]<int r>() {
        if (out.order[r] == nullptr) return;
        out.order[r][i] = add ? out.order[r][i] + values[r] : values[r];
    });
}

template <int Top>
FOURFOLD_INLINE void read_jet(const ConstJet& jet, std::size_t i, double* values) {
    each_order<Top>([&]<int r>() { values[r] = jet.order[r] == nullptr ? 0.0 : jet.order[r][i]; });
}

// Of one lag.
template <int Top>
FOURFOLD_INLINE void evaluate_thread(const GpuLeaf& leaf, const GpuLags& lags, const Jet& out, bool add,
                                     std::size_t i) {
    const double z = lag_at(lags, i);
    with_form<Top>(leaf.form, [&]<Form F>() {
        double sum[Top + 1] = {};
        FOURFOLD_ROLLED
        for (int q = 0; q < leaf.components; ++q) {
            double k[Top + 1];
            component_jet<F, Top>(z, leaf.scale[q], leaf.third[q], k);
            each_order<Top>([&]<int r>() { sum[r] += k[r] * leaf.weight[q]; });
        }
        write_jet<Top>(out, add, i, sum);
    });
}

template <int Top>
FOURFOLD_INLINE void product_thread(const ConstJet& a, const ConstJet& b, const Jet& out, bool add, std::size_t i) {
    double x[Top + 1], y[Top + 1], product[Top + 1];
    read_jet<Top>(a, i, x);
    read_jet<Top>(b, i, y);
    each_order<Top>([&]<int r>() { product[r] = product_derivative<r>(x, y); });
    write_jet<Top>(out, add, i, product);
}

template <int Top>
FOURFOLD_INLINE void product_pull_back_thread(const ConstJet& b, const ConstJet& cotangent, const Jet& by_a,
                                              std::size_t i) {
    double y[Top + 1], c[Top + 1], sum[Top + 1] = {};
    read_jet<Top>(b, i, y);
    read_jet<Top>(cotangent, i, c);
    each_order<Top>([&]<int r>() { pull_product<r>(c[r], y, sum); });
    write_jet<Top>(by_a, false, i, sum);
}

// Three numbers of each thread, summed over the block in a fixed order: total(k, sum) by one thread for each k.
template <class Block, class Numbers, class Total>
FOURFOLD_INLINE void sum_of_block(Block& block, SumsShared& shared, Numbers number, Total total) {
    block.each([&](unsigned t) {
        for (unsigned k = 0; k < 3; ++k) shared.all[k][t] = number(t, k);
    });
    block.each([&](unsigned t) {
        if (t >= 3 * 32) return;
        const double* row = shared.all[t / 32] + t % 32;
        shared.some[t / 32][t % 32] = (row[0] + row[32]) + (row[64] + row[96]);
    });
    block.each([&](unsigned t) {
        if (t >= 3 * 8) return;
        const double* row = shared.some[t / 8] + t % 8;
        shared.few[t / 8][t % 8] = (row[0] + row[8]) + (row[16] + row[24]);
    });
    block.each([&](unsigned t) {
        if (t >= 3) return;
        const double* row = shared.few[t];
        total(t, ((row[0] + row[1]) + (row[2] + row[3])) + ((row[4] + row[5]) + (row[6] + row[7])));
    });
}

// Of one component and kLagsOfBlock lags: parts[3][components][chunks].
template <int Top, class Block>
FOURFOLD_INLINE void pull_back_block(Block& block, SumsShared& shared, const GpuLeaf& leaf, const GpuLags& lags,
                                     const ConstJet& cotangent, double* parts) {
    const std::size_t components = static_cast<std::size_t>(leaf.components), chunks = chunks_of(lags.n);
    const std::size_t chunk = block.index() / components, q = block.index() % components;
    const std::size_t begin = chunk * kLagsOfBlock, end = begin + kLagsOfBlock < lags.n ? begin + kLagsOfBlock : lags.n;
    const double a = leaf.scale[q], m = leaf.third[q];
    typename Block::template PerThread<Sums<double>> sums(block);
    block.each([&](unsigned t) {
        with_form<Top>(leaf.form, [&]<Form F>() {
            FOURFOLD_ROLLED
            for (std::size_t i = begin + t; i < end; i += kSumThreads) {
                double c[Top + 1];
                read_jet<Top>(cotangent, i, c);
                add_component<F, Top>(lag_at(lags, i), a, m, c, sums[t]);
            }
        });
    });
    sum_of_block(
        block, shared,
        [&](unsigned t, unsigned k) { return k == 0   ? sums[t].weight
                                             : k == 1 ? sums[t].scale
                                                      : sums[t].third; },
        [&](unsigned k, double sum) { parts[(k * components + q) * chunks + chunk] = sum; });
}

// Of one component: gradient[3][stride], from all chunks.
template <class Block>
FOURFOLD_INLINE void sums_block(Block& block, SumsShared& shared, const GpuLeaf& leaf, std::size_t chunks,
                                const double* parts, double* gradient, std::size_t stride) {
    const std::size_t components = static_cast<std::size_t>(leaf.components), q = block.index();
    typename Block::template PerThread<Sums<double>> sums(block);
    block.each([&](unsigned t) {
        FOURFOLD_ROLLED
        for (std::size_t chunk = t; chunk < chunks; chunk += kSumThreads) {
            sums[t].weight += parts[q * chunks + chunk];
            sums[t].scale += parts[(components + q) * chunks + chunk];
            sums[t].third += parts[(2 * components + q) * chunks + chunk];
        }
    });
    sum_of_block(
        block, shared,
        [&](unsigned t, unsigned k) { return k == 0   ? sums[t].weight
                                             : k == 1 ? sums[t].scale
                                                      : sums[t].third; },
        [&](unsigned k, double sum) {
            double by_scale = sum, by_third = sum;
            with_form<0>(leaf.form, [&]<Form F>() {
                finish<F>(leaf.weight[q], leaf.scale[q], leaf.third[q], by_scale, by_third);
            });
            gradient[k * stride + q] = k == 0 ? sum : k == 1 ? by_scale : by_third;
        });
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
