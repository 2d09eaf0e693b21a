#include "pc/mutual_information.hpp"

#include <cmath>
#include <vector>

#include "support/thread_pool.hpp"

namespace fourfold::pc {
namespace {

// An image's share in a bin of a variable. Shares in the fullest bin of each variable are left out: most images are in
// it, and what they contribute follows from the sums over the other bins. On MNIST this saves 29 of 30 increments.
struct Entry {
    std::int32_t variable;
    std::int32_t slot;  // begin of the variable's bins + bin
    float share;
};

std::size_t code_at(const Codes& codes, std::size_t at) {
    switch (codes.bytes) {
        case 1: return static_cast<const std::uint8_t*>(codes.data)[at];
        case 2: return static_cast<const std::uint16_t*>(codes.data)[at];
        default: return static_cast<std::size_t>(static_cast<const std::int32_t*>(codes.data)[at]);
    }
}

template <class F>
void for_shares(const Binning& binning, std::size_t i, std::size_t value, const F& f) {
    const std::size_t at = static_cast<std::size_t>(binning.first[i]) + value;
    const std::int32_t lower = binning.lower[at];
    const float share = binning.share[at];
    if (share > 0.0f) f(lower, share);
    if (share < 1.0f) f(lower + 1, 1.0f - share);
}

double x_log_x(double x) { return x > 0.0 ? x * std::log(x) : 0.0; }

class Pairs {
public:
    Pairs(const Binning& binning, const Codes& codes, std::size_t count) : binning_(binning), images_(count) {
        const std::size_t variables = binning.variables;
        begin_.assign(variables + 1, 0);
        for (std::size_t i = 0; i < variables; ++i)
            begin_[i + 1] = begin_[i] + static_cast<std::size_t>(binning.bins[i]);
        marginal_.assign(begin_.back(), 0.0);
        const auto row_of = [&](std::size_t k) {
            return codes.order == nullptr ? k : static_cast<std::size_t>(codes.order[k]);
        };
        for (std::size_t k = 0; k < count; ++k) {
            for (std::size_t i = 0; i < variables; ++i) {
                for_shares(binning, i, code_at(codes, row_of(k) * variables + i), [&](std::int32_t bin, float share) {
                    marginal_[begin_[i] + static_cast<std::size_t>(bin)] += static_cast<double>(share);
                });
            }
        }
        for (std::size_t i = 0; i < variables; ++i) {
            std::size_t fullest = begin_[i];
            for (std::size_t s = begin_[i]; s < begin_[i + 1]; ++s) {
                if (marginal_[s] > marginal_[fullest]) fullest = s;
            }
            fullest_.push_back(fullest);
        }
        for (std::size_t k = 0; k < count; ++k) {
            first_entry_.push_back(entries_.size());
            for (std::size_t i = 0; i < variables; ++i) {
                for_shares(binning, i, code_at(codes, row_of(k) * variables + i), [&](std::int32_t bin, float share) {
                    const std::size_t slot = begin_[i] + static_cast<std::size_t>(bin);
                    if (slot == fullest_[i]) return;
                    entries_.push_back({static_cast<std::int32_t>(i), static_cast<std::int32_t>(slot), share});
                });
            }
        }
        first_entry_.push_back(entries_.size());
    }

    // Mutual information of variable i with all later ones, and its entropy.
    void row(std::size_t i, std::vector<float>& joint, double* out) const {
        const std::size_t slots = begin_.back(), bins = begin_[i + 1] - begin_[i];
        joint.assign(bins * slots, 0.0f);
        for (std::size_t k = 0; k < images_; ++k) {
            const Entry* const end = entries_.data() + first_entry_[k + 1];
            const Entry* mine = entries_.data() + first_entry_[k];
            // Entries are in the order of the variables.
            const Entry* low = mine;
            std::size_t length = static_cast<std::size_t>(end - mine);
            while (length > 0) {
                const std::size_t half = length / 2;
                if (static_cast<std::size_t>(low[half].variable) < i) {
                    low += half + 1;
                    length -= half + 1;
                } else {
                    length = half;
                }
            }
            mine = low;
            const Entry* later = mine;
            while (later < end && static_cast<std::size_t>(later->variable) == i) ++later;
            for (; mine < later && static_cast<std::size_t>(mine->variable) == i; ++mine) {
                float* counts = joint.data() + (static_cast<std::size_t>(mine->slot) - begin_[i]) * slots;
                const float share = mine->share;
                for (const Entry* other = later; other < end; ++other) counts[other->slot] += share * other->share;
            }
        }
        out[i] = entropy(i);
        for (std::size_t j = i + 1; j < binning_.variables; ++j) {
            out[j] = entropy(i) + entropy(j) - joint_entropy(i, j, joint);
        }
    }

private:
    double entropy(std::size_t i) const {
        double sum = 0.0;
        for (std::size_t s = begin_[i]; s < begin_[i + 1]; ++s) sum += x_log_x(marginal_[s]);
        return log_images() - sum / static_cast<double>(images_);
    }

    double log_images() const { return std::log(static_cast<double>(images_)); }

    double joint_entropy(std::size_t i, std::size_t j, const std::vector<float>& joint) const {
        const std::size_t slots = begin_.back(), bins = begin_[i + 1] - begin_[i];
        std::vector<double> rest(marginal_.begin() + static_cast<std::ptrdiff_t>(begin_[j]),
                                 marginal_.begin() + static_cast<std::ptrdiff_t>(begin_[j + 1]));
        double sum = 0.0, corner = static_cast<double>(images_);
        const std::size_t fullest_j = fullest_[j] - begin_[j];
        for (std::size_t a = 0; a < bins; ++a) {
            if (begin_[i] + a == fullest_[i]) continue;
            const float* row = joint.data() + a * slots + begin_[j];
            double last = marginal_[begin_[i] + a];
            for (std::size_t b = 0; b < rest.size(); ++b) {
                if (row[b] == 0.0f) continue;
                const double count = static_cast<double>(row[b]);
                sum += x_log_x(count);
                rest[b] -= count;
                last -= count;
            }
            sum += remaining(last);
            corner -= marginal_[begin_[i] + a];
        }
        for (std::size_t b = 0; b < rest.size(); ++b) {
            if (b == fullest_j) continue;
            sum += remaining(rest[b]);
            corner -= rest[b];
        }
        return log_images() - (sum + remaining(corner)) / static_cast<double>(images_);
    }

    // x log x of a count that is the difference of sums of single-precision shares: less than this is round-off.
    double remaining(double x) const { return x > 1e-5 * static_cast<double>(images_) / 16 ? x * std::log(x) : 0.0; }

    const Binning& binning_;
    std::size_t images_;
    std::vector<std::size_t> begin_, fullest_, first_entry_;
    std::vector<double> marginal_;
    std::vector<Entry> entries_;
};

}  // namespace

void mutual_information(const Binning& binning, const Codes& codes, std::size_t count, double* out, int threads) {
    const std::size_t variables = binning.variables;
    const Pairs pairs(binning, codes, count);
    std::vector<std::vector<float>> joint(static_cast<std::size_t>(threads < 1 ? 1 : threads));
    parallel_for(variables, threads, [&](std::size_t i, int worker) {
        pairs.row(i, joint[static_cast<std::size_t>(worker)], out + i * variables);
    });
    for (std::size_t i = 0; i < variables; ++i) {
        for (std::size_t j = i + 1; j < variables; ++j) out[j * variables + i] = out[i * variables + j];
    }
}

}  // namespace fourfold::pc
