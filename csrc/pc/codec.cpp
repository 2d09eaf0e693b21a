#include "pc/codec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "pc/codec_rows.hpp"
#include "pc/rans.hpp"
#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::pc {

namespace baseline {
extern const CodecKernels codec_kernels;
}
#if FOURFOLD_X86_LEVELS
namespace v3 {
extern const CodecKernels codec_kernels;
}
namespace v4 {
extern const CodecKernels codec_kernels;
}
#endif

const CodecKernels& codec_kernels() {
#if FOURFOLD_X86_LEVELS
    switch (isa::level()) {
        case isa::Level::v4: return v4::codec_kernels;
        case isa::Level::v3: return v3::codec_kernels;
        default: break;
    }
#endif
    return baseline::codec_kernels;
}

namespace {

constexpr std::int64_t kBitsPerStream = 1 << 18;  // raw bits that justify one more stream
constexpr std::int64_t kRowsPerItem = 128;        // rows of the blocks that one work item encodes

void put_little(std::uint8_t* to, std::uint64_t value, int bytes) {
    for (int b = 0; b < bytes; ++b) to[b] = static_cast<std::uint8_t>(value >> (8 * b));
}
std::uint64_t get_little(const std::uint8_t* from, int bytes) {
    std::uint64_t value = 0;
    for (int b = 0; b < bytes; ++b) value |= std::uint64_t{from[b]} << (8 * b);
    return value;
}

// Memory of one worker.
struct Workspace {
    explicit Workspace(const Plan& plan)
        : scratch(codec_kernels().scratch_floats(plan)),
          symbols(static_cast<std::size_t>(plan.variables) * kLanes),
          intervals(static_cast<std::size_t>(plan.variables) * kLanes),
          checksum(plan) {}
    AlignedBuffer<float> scratch;
    AlignedBuffer<std::int32_t> symbols;  // [variables][kLanes]
    std::vector<Interval> intervals;      // [variables][kLanes]
    RowChecksum checksum;
};

void load_lane(const Plan& plan, const Cells& cells, std::int64_t row, int lane, std::int32_t* symbols) {
    const std::int64_t begin = row * plan.variables;
    for (int i = 0; i < plan.variables; ++i) symbols[i * kLanes + lane] = cell(cells, begin + i);
}
void clear_lane(const Plan& plan, int lane, std::int32_t* symbols) {
    for (int i = 0; i < plan.variables; ++i) symbols[i * kLanes + lane] = -1;
}

// One block while it is encoded, from its last row to its first. Words are written from the back of its room.
class BlockEncoder {
public:
    BlockEncoder(const Codec& codec, const Cells& cells, std::int64_t begin, std::int64_t rows, std::uint8_t* room,
                 std::int64_t capacity, RowChecksum& checksum)
        : room_(room), capacity_(capacity), at_(capacity), begin_(begin), rows_(rows), streams_(codec.streams(rows)) {
        for (std::int64_t r = 0; r < rows && status_ == BlockStatus::ok; ++r) {
            if (!in_range(codec.plan, cells, begin + r)) status_ = BlockStatus::out_of_range;
        }
        if (status_ != BlockStatus::ok) return;
        for (int s = 0; s < streams_; ++s) {
            checksum.restart();
            for (std::int64_t r = first_row(rows, streams_, s); r < first_row(rows, streams_, s + 1); ++r) {
                checksum.add(cells, begin + r, codec.plan.variables);
            }
            state_[s] = first_state(checksum.value());
            // Streams whose length is not the longest one have no row in the last round.
            rounds_ = std::max(rounds_, first_row(rows, streams_, s + 1) - first_row(rows, streams_, s));
        }
    }

    bool ongoing() const { return status_ == BlockStatus::ok; }
    int streams() const { return streams_; }
    std::int64_t rounds() const { return rounds_; }
    // The row of a stream's round, or -1.
    std::int64_t row(int s, std::int64_t round) const {
        const std::int64_t row = first_row(rows_, streams_, s) + round;
        return row < first_row(rows_, streams_, s + 1) ? begin_ + row : -1;
    }

    // Encodes a round, its streams being in the lanes from `lane` on.
    void put(const Interval* intervals, int variables, int lane) {
        for (int k = variables - 1; k >= 0; --k) {
            for (int s = streams_ - 1; s >= 0; --s) {
                const Interval i = intervals[static_cast<std::size_t>(k) * kLanes + lane + s];
                if (i.size == 0) continue;
                std::uint64_t x = state_[s];
                if (gives_word(x, i.size)) {
                    if (at_ < 4) {
                        status_ = BlockStatus::no_gain;
                        return;
                    }
                    at_ -= 4;
                    put_little(room_ + at_, x, 4);
                    x >>= 32;
                }
                state_[s] = pushed(x, i.start, i.size);
            }
        }
    }

    // Puts the states before the words and all to the front of the room; returns the length.
    std::int64_t finish() {
        const int bytes = streams_ > 1 ? 8 : std::max(5, (static_cast<int>(std::bit_width(state_[0])) + 7) / 8);
        if (at_ < bytes * streams_) {
            status_ = BlockStatus::no_gain;
            return 0;
        }
        for (int s = streams_ - 1; s >= 0; --s) {
            at_ -= bytes;
            put_little(room_ + at_, state_[s], bytes);
        }
        std::memmove(room_, room_ + at_, static_cast<std::size_t>(capacity_ - at_));
        return capacity_ - at_;
    }
    BlockStatus status() const { return status_; }

private:
    std::uint8_t* room_;
    std::int64_t capacity_, at_, begin_, rows_;
    int streams_;
    std::int64_t rounds_ = 0;
    std::array<std::uint64_t, kLanes> state_{};
    BlockStatus status_ = BlockStatus::ok;
};

// Encodes some blocks, their rounds side by side in the lanes.
void encode_blocks(const Codec& codec, const Cells& cells, std::vector<BlockEncoder>& blocks, Workspace& work) {
    struct Task {
        BlockEncoder* block;
        int lane;
    };
    const Plan& plan = codec.plan;
    std::vector<Task> batch;
    int lanes = 0;
    const auto run = [&] {
        if (batch.empty()) return;
        for (int l = lanes; l < kLanes; ++l) clear_lane(plan, l, work.symbols.data());
        codec_kernels().encode(plan, work.scratch.data(), work.symbols.data(), work.intervals.data());
        for (const Task& task : batch) {
            if (task.block->ongoing()) task.block->put(work.intervals.data(), plan.variables, task.lane);
        }
        batch.clear();
        lanes = 0;
    };
    for (BlockEncoder& block : blocks) {
        for (std::int64_t round = block.rounds() - 1; round >= 0 && block.ongoing(); --round) {
            if (lanes + block.streams() > kLanes) {
                run();
                if (!block.ongoing()) break;
            }
            batch.push_back({&block, lanes});
            for (int s = 0; s < block.streams(); ++s, ++lanes) {
                const std::int64_t row = block.row(s, round);
                if (row < 0)
                    clear_lane(plan, lanes, work.symbols.data());
                else
                    load_lane(plan, cells, row, lanes, work.symbols.data());
            }
        }
    }
    run();
}

// One block while it is decoded.
struct BlockDecoder {
    std::int64_t begin, rows;
    int streams, lane;
    BlockStatus status;
};

// Reads the states and sets up the lanes of a block; false: it cannot be decoded.
bool open_block(BlockDecoder& block, const std::uint8_t* in, std::int64_t length, LaneReader& reader, int source) {
    const std::int64_t shortest = block.streams > 1 ? 8 * block.streams : 5;
    if (length < shortest) {
        block.status = BlockStatus::truncated;
        return false;
    }
    const int bytes = block.streams > 1 ? 8 : 5 + static_cast<int>((length - 5) % 4);
    for (int s = 0; s < block.streams; ++s, in += bytes) {
        const std::uint64_t state = get_little(in, bytes);
        if (!is_state(state)) {
            block.status = BlockStatus::bad_state;
            return false;
        }
        reader.state[block.lane + s] = state;
        reader.source[block.lane + s] = source;
    }
    reader.sources[source] = {in, in + length - bytes * block.streams, false};
    return true;
}

void decode_blocks(const Codec& codec, const Cells& cells, std::vector<BlockDecoder>& blocks, LaneReader& reader,
                   Workspace& work) {
    const Plan& plan = codec.plan;
    std::int32_t* symbols = work.symbols.data();
    for (std::int64_t round = 0;; ++round) {
        bool any = false;
        std::int64_t row[kLanes];
        std::fill_n(row, kLanes, -1);
        for (std::size_t b = 0; b < blocks.size(); ++b) {
            const BlockDecoder& block = blocks[b];
            if (block.status != BlockStatus::ok || reader.sources[b].exhausted) continue;
            for (int s = 0; s < block.streams; ++s) {
                const std::int64_t r = first_row(block.rows, block.streams, s) + round;
                if (r < first_row(block.rows, block.streams, s + 1)) row[block.lane + s] = block.begin + r;
            }
        }
        for (int l = 0; l < kLanes; ++l) {
            reader.active[l] = row[l] < 0 ? 0 : -1;
            any |= row[l] >= 0;
            if (row[l] >= 0 && cells.size == 4) {
                load_lane(plan, cells, row[l], l, symbols);
            } else {
                for (int i = 0; i < plan.variables; ++i) symbols[i * kLanes + l] = 0;
            }
        }
        if (!any) break;
        codec_kernels().decode(plan, work.scratch.data(), symbols, reader);
        for (int l = 0; l < kLanes; ++l) {
            if (row[l] < 0) continue;
            const std::int64_t begin = row[l] * plan.variables;
            for (int i = 0; i < plan.variables; ++i) set_cell(cells, begin + i, symbols[i * kLanes + l]);
        }
    }
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        BlockDecoder& block = blocks[b];
        if (block.status != BlockStatus::ok) continue;
        if (reader.sources[b].exhausted) {
            block.status = BlockStatus::truncated;
            continue;
        }
        if (reader.sources[b].next != reader.sources[b].end) {
            block.status = BlockStatus::trailing;
            continue;
        }
        for (int s = 0; s < block.streams; ++s) {
            work.checksum.restart();
            const std::int64_t end = first_row(block.rows, block.streams, s + 1);
            for (std::int64_t r = first_row(block.rows, block.streams, s); r < end; ++r) {
                work.checksum.add(cells, block.begin + r, plan.variables);
            }
            if (reader.state[block.lane + s] != first_state(work.checksum.value())) {
                block.status = BlockStatus::bad_checksum;
            }
        }
    }
}

// The blocks of each work item: as many as `full` allows.
template <class Full>
std::vector<std::size_t> split_into_items(std::size_t blocks, Full full) {
    std::vector<std::size_t> starts{0};
    for (std::size_t b = 0; b < blocks; ++b) {
        if (b > starts.back() && full(starts.back(), b)) starts.push_back(b);
    }
    if (blocks > 0) starts.push_back(blocks);
    return starts;
}

std::vector<std::int64_t> running_sum(const std::vector<std::int64_t>& rows) {
    std::vector<std::int64_t> begin(rows.size() + 1, 0);
    for (std::size_t b = 0; b < rows.size(); ++b) begin[b + 1] = begin[b] + rows[b];
    return begin;
}

class Workspaces {
public:
    Workspaces(const Plan& plan, int threads) : plan_(plan), of_(static_cast<std::size_t>(std::max(threads, 1))) {}
    Workspace& of(int worker) {
        auto& mine = of_[static_cast<std::size_t>(worker)];
        if (mine == nullptr) mine = std::make_unique<Workspace>(plan_);
        return *mine;
    }

private:
    const Plan& plan_;
    std::vector<std::unique_ptr<Workspace>> of_;
};

}  // namespace

int Codec::streams(std::int64_t rows) const {
    const std::int64_t most = std::min<std::int64_t>({kLanes, rows, rows * plan.bits_per_row / kBitsPerStream});
    return static_cast<int>(std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(most, 1))));
}

void Codec::encode(const Cells& cells, const std::vector<std::int64_t>& rows, const std::int64_t* start,
                   std::uint8_t* out, std::int64_t* length, BlockStatus* status, int threads) const {
    const std::vector<std::int64_t> begin = running_sum(rows);
    const std::vector<std::size_t> items = split_into_items(
        rows.size(), [&](std::size_t first, std::size_t b) { return begin[b] - begin[first] >= kRowsPerItem; });
    Workspaces workspaces(plan, threads);
    parallel_for(items.size() - 1, threads, [&](std::size_t item, int worker) {
        Workspace& work = workspaces.of(worker);
        std::vector<BlockEncoder> blocks;
        for (std::size_t b = items[item]; b < items[item + 1]; ++b) {
            blocks.emplace_back(*this, cells, begin[b], rows[b], out + start[b], start[b + 1] - start[b],
                                work.checksum);
        }
        encode_blocks(*this, cells, blocks, work);
        for (std::size_t b = items[item]; b < items[item + 1]; ++b) {
            BlockEncoder& block = blocks[b - items[item]];
            length[b] = block.ongoing() ? block.finish() : 0;
            status[b] = block.status();
        }
    });
}

void Codec::decode(const std::uint8_t* in, const std::int64_t* start, const std::int64_t* length,
                   const std::vector<std::int64_t>& rows, const Cells& cells, BlockStatus* status, int threads) const {
    const std::vector<std::int64_t> begin = running_sum(rows);
    const std::vector<std::size_t> items = split_into_items(rows.size(), [&](std::size_t first, std::size_t b) {
        int lanes = streams(rows[b]);
        for (std::size_t a = first; a < b; ++a) lanes += streams(rows[a]);
        return lanes > kLanes;
    });
    Workspaces workspaces(plan, threads);
    parallel_for(items.size() - 1, threads, [&](std::size_t item, int worker) {
        Workspace& work = workspaces.of(worker);
        LaneReader reader{};
        std::vector<BlockDecoder> blocks;
        int lane = 0;
        for (std::size_t b = items[item]; b < items[item + 1]; ++b) {
            blocks.push_back({begin[b], rows[b], streams(rows[b]), lane, BlockStatus::ok});
            open_block(blocks.back(), in + start[b], length[b], reader, static_cast<int>(blocks.size()) - 1);
            lane += blocks.back().streams;
        }
        decode_blocks(*this, cells, blocks, reader, work);
        for (std::size_t b = items[item]; b < items[item + 1]; ++b) status[b] = blocks[b - items[item]].status;
    });
}

}  // namespace fourfold::pc
