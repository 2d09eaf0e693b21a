// Eigendecompositions of many small matrices: those of one size in groups that share the lanes of the SIMD registers,
// what is left over one by one. The groups depend on the sizes and the ISA level alone.
#include <algorithm>
#include <numeric>
#include <vector>

#include "gp/algebra.hpp"
#include "gp/cuts.hpp"
#include "support/aligned.hpp"

namespace fourfold::gp {
namespace {

using Index = std::ptrdiff_t;

// Per-thread memory, kept from call to call: fresh pages would cost as much as a small decomposition.
double* workspace(std::size_t count) {
    thread_local AlignedBuffer<double> mine;
    if (mine.size() < count) mine = AlignedBuffer<double>(count);
    return mine.data();
}

// Larger ones of a full set of lanes would not fit the second-level cache.
constexpr Index kLanesUpTo = 192;

struct Matrix {
    Index n;
    const double* a;
    double *values, *vectors;
};

struct Group {
    std::size_t first;
    int count;
};

bool solve_group(const Matrix* matrices, int count, double limit) {
    const Index n = matrices->n;
    for (int i = 0; i < count; ++i) {
        const Asymmetry found = asymmetry(1, n, matrices[i].a, 1);
        if (!(found.difference <= limit * found.largest)) return false;
    }
    if (count == 1) {
        return eigh_kernel()(n, matrices->a, matrices->values, matrices->vectors, workspace(eigh_work_count(n)));
    }
    std::vector<const double*> a;
    std::vector<double*> values, vectors;
    for (int i = 0; i < count; ++i) {
        a.push_back(matrices[i].a);
        values.push_back(matrices[i].values);
        vectors.push_back(matrices[i].vectors);
    }
    const EighLanesKernel& kernel = eigh_lanes_kernel();
    return kernel.solve(n, count, a.data(), values.data(), vectors.data(),
                        workspace(static_cast<std::size_t>(kernel.work_count(n))));
}

}  // namespace

std::size_t eigh_work_count(Index n) {
    const Index ld = ceil_div(n, 8) * 8;
    return static_cast<std::size_t>(ld * ld + 3 * n * ld + 16 * ld + 4 * (16 * n + 64) + 4 * 32 * ld + 32 * 32) +
           kPackCount<double>;
}

bool eigh(const std::vector<EighJob>& jobs, double asymmetry, int threads) {
    std::vector<Matrix> matrices;
    double work_done = 0;
    for (const EighJob& job : jobs) {
        work_done += 3.0 * static_cast<double>(job.batch * job.n * job.n * (job.n + 20));
        for (Index b = 0; b < job.batch; ++b) {
            matrices.push_back(
                {job.n, job.a + b * job.n * job.n, job.values + b * job.n, job.vectors + b * job.n * job.n});
        }
    }
    threads = worth(work_done, threads);
    // The largest first: threads that are done early take what is small.
    std::stable_sort(matrices.begin(), matrices.end(), [](const Matrix& a, const Matrix& b) { return a.n > b.n; });
    const int lanes = eigh_lanes_kernel().lanes;
    std::vector<Group> groups;
    for (std::size_t i = 0; i < matrices.size();) {
        int count = 1;
        while (matrices[i].n <= kLanesUpTo && count < lanes && i + static_cast<std::size_t>(count) < matrices.size() &&
               matrices[i + static_cast<std::size_t>(count)].n == matrices[i].n) {
            ++count;
        }
        // Lanes that are mostly empty take longer than one matrix after the other.
        if (2 * count <= lanes) count = 1;
        groups.push_back({i, count});
        i += static_cast<std::size_t>(count);
    }
    std::vector<char> good(groups.size());
    parallel_for(groups.size(), threads, [&](std::size_t g, int) {
        good[g] = solve_group(&matrices[groups[g].first], groups[g].count, asymmetry);
    });
    return std::all_of(good.begin(), good.end(), [](char ok) { return ok != 0; });
}

}  // namespace fourfold::gp
