#include "nlse/schemes.hpp"

#include <cmath>
#include <stdexcept>
#include <vector>

namespace fourfold::nlse {
namespace {

enum class Ends { doubled, single };

// The first half of a symmetric list -> the whole list. `doubled`: what is missing to 1/2 stands twice in the middle;
// `single`: what is missing to 1 stands once.
std::vector<double> symmetric(std::vector<double> half, Ends ends) {
    long double sum = 0;
    for (const double value : half) sum += value;
    std::vector<double> whole = half;
    if (ends == Ends::doubled) {
        const double last = static_cast<double>(0.5L - sum);
        whole.insert(whole.end(), {last, last});
    } else {
        whole.push_back(static_cast<double>(1.0L - 2.0L * sum));
    }
    whole.insert(whole.end(), half.rbegin(), half.rend());
    return whole;
}

int slot_of(double duration, double* slots, int& count) {
    for (int i = 0; i < count; ++i) {
        if (slots[i] == duration) return i;
    }
    slots[count] = duration;
    return count++;
}

SplittingProgram program(const std::vector<double>& kinetic, const std::vector<double>& potential, int order,
                         int order_general) {
    SplittingProgram p{};
    p.kinetic_first = kinetic.size() > potential.size();
    p.stages = static_cast<int>(p.kinetic_first ? potential.size() : kinetic.size());
    for (std::size_t i = 0; i < kinetic.size(); ++i) {
        p.kinetic_slot[i] = slot_of(kinetic[i], p.kinetic, p.kinetic_slots);
    }
    for (std::size_t i = 0; i < potential.size(); ++i) {
        p.potential_slot[i] = slot_of(potential[i], p.potential, p.potential_slots);
    }
    double time = 0;
    for (std::size_t i = 0; i < potential.size(); ++i) {
        if (p.kinetic_first) time += kinetic[i];
        p.potential_time[i] = time;
        if (!p.kinetic_first && i < kinetic.size()) time += kinetic[i];
    }
    if (!p.kinetic_first) p.potential_time[potential.size() - 1] = 1;  // where the next step begins, to the bit
    p.joined_slot = p.kinetic_first ? slot_of(2 * kinetic[0], p.kinetic, p.kinetic_slots)
                                    : slot_of(2 * potential[0], p.potential, p.potential_slots);
    p.order = order;
    p.order_general = order_general;
    return p;
}

}  // namespace

SplittingProgram splitting_program(const std::string& name) {
    if (name == "strang") return program({0.5, 0.5}, {1.0}, 2, 2);
    if (name == "yoshida4") {
        // Yoshida 1990: three Strang steps of durations w1, w0, w1
        const double w1 = 1.0 / (2.0 - std::cbrt(2.0));
        return program(symmetric({w1 / 2}, Ends::doubled), symmetric({w1}, Ends::single), 4, 4);
    }
    // Blanes & Moan 2002, Runge-Kutta-Nystrom splittings
    if (name == "rkn4_6b") {
        return program(symmetric({.245298957184271, .604872665711080}, Ends::doubled),
                       symmetric({.0829844064174052, .396309801498368, -.0390563049223486}, Ends::single), 4, 4);
    }
    if (name == "rkn6_11b") {
        return program(
            symmetric({.123229775946271, .290553797799558, -.127049212625417, -.246331761062075, .357208872795928},
                      Ends::single),
            symmetric({.0414649985182624, .198128671918067, -.0400061921041533, .0752539843015807, -.0115113874206879},
                      Ends::doubled),
            6, 4);
    }
    if (name == "rkn6_14a") {
        return program(symmetric({.0378593198406116, .102635633102435, -.0258678882665587, .314241403071447,
                                  -.130144459517415, .106417700369543, -.00879424312851058},
                                 Ends::single),
                       symmetric({.09171915262446165, .183983170005006, -.05653436583288827, .004914688774712854,
                                  .143761127168358, .328567693746804},
                                 Ends::doubled),
                       6, 4);
    }
    throw std::invalid_argument("no splitting scheme is called " + name);
}

}  // namespace fourfold::nlse
