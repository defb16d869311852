// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/page_list.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace lab::efa {

namespace {

constexpr std::size_t list_page_size = 4096;
constexpr std::size_t addresses_per_page = list_page_size / sizeof(std::uint64_t);
/// What is left of a 4 KiB chunk beside the descriptor of the next one.
constexpr std::size_t pages_per_chunk =
    (4096 - sizeof(admin::ControlBuffer)) / sizeof(std::uint64_t);
constexpr std::size_t next_chunk_offset = pages_per_chunk * sizeof(std::uint64_t);

std::span<std::byte> bytes_of(std::vector<std::uint64_t>& numbers)
{
    return std::as_writable_bytes(std::span(numbers));
}

/// Walks the chunks, then reads the pages that they name. It lives until its last callback.
class IndirectFetch : public std::enable_shared_from_this<IndirectFetch> {
public:
    IndirectFetch(DmaEngine& dma, std::uint64_t count, PageListDone done)
        : dma_(dma), done_(std::move(done)), pages_(count)
    {
        list_pages_left_ = (count + addresses_per_page - 1) / addresses_per_page;
        left_ = count * sizeof(std::uint64_t);
    }

    void start(const admin::ControlBuffer& first) { read_chunk(first); }

private:
    void read_chunk(const admin::ControlBuffer& where);
    void parse_chunk(std::size_t list_pages);
    void read_list();

    DmaEngine& dma_;
    PageListDone done_;
    std::vector<std::uint64_t> pages_;
    std::uint64_t list_pages_left_;
    std::uint64_t left_; ///< bytes of the list not yet located
    std::vector<DmaSegment> segments_;
    std::array<std::byte, next_chunk_offset + sizeof(admin::ControlBuffer)> chunk_;
};

void IndirectFetch::read_chunk(const admin::ControlBuffer& where)
{
    auto list_pages = std::min<std::uint64_t>(list_pages_left_, pages_per_chunk);
    bool last = list_pages == list_pages_left_;
    std::size_t needed =
        list_pages * sizeof(std::uint64_t) + (last ? 0 : sizeof(admin::ControlBuffer));
    if (where.length < needed)
        return done_(EINVAL, {});
    dma_.read(where.address, std::span(chunk_).first(needed),
              [self = shared_from_this(), list_pages](const DmaResult& result) {
                  if (result.error != 0)
                      self->done_(result.error, {});
                  else
                      self->parse_chunk(list_pages);
              });
}

void IndirectFetch::parse_chunk(std::size_t list_pages)
{
    for (std::size_t i = 0; i < list_pages; ++i) {
        DmaSegment segment{0, std::min<std::uint64_t>(left_, list_page_size)};
        std::memcpy(&segment.address, &chunk_[i * sizeof(std::uint64_t)], sizeof(std::uint64_t));
        segments_.push_back(segment);
        left_ -= segment.length;
    }
    list_pages_left_ -= list_pages;
    if (list_pages_left_ == 0)
        return read_list();
    admin::ControlBuffer next{};
    std::memcpy(&next, &chunk_[next_chunk_offset], sizeof(next));
    read_chunk(next);
}

void IndirectFetch::read_list()
{
    dma_.read(segments_, bytes_of(pages_), [self = shared_from_this()](const DmaResult& result) {
        self->done_(result.error, std::move(self->pages_));
    });
}

} // namespace

void fetch_page_list(DmaEngine& dma, const admin::ControlBuffer& list, std::uint64_t count,
                     PageListDone done)
{
    if (list.length < count * sizeof(std::uint64_t))
        return done(EINVAL, {});
    auto pages = std::make_shared<std::vector<std::uint64_t>>(count);
    dma.read(list.address, bytes_of(*pages),
             [pages, done = std::move(done)](const DmaResult& result) {
                 done(result.error, std::move(*pages));
             });
}

void fetch_indirect_page_list(DmaEngine& dma, const admin::ControlBuffer& first,
                              std::uint64_t count, PageListDone done)
{
    std::make_shared<IndirectFetch>(dma, count, std::move(done))->start(first);
}

} // namespace lab::efa
