#include "repository/compression.hpp"

#include <zstd.h>

#include <memory>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::repository {

namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

template <typename Context>
Context* required(const std::unique_ptr<Context, FreeContext>& context) {
  if (!context) throw util::Error(util::ErrorCode::internal, "out of memory for zstd");
  return context.get();
}

[[noreturn]] void damaged() {
  throw util::Error(util::ErrorCode::verification_failed, "its compressed content is damaged");
}

}  // namespace

void compress_into(util::ByteView content, int level, util::Bytes& frame) {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  frame.resize(ZSTD_compressBound(content.size()));
  const std::size_t size = ZSTD_compressCCtx(required(context), frame.data(), frame.size(),
                                             content.data(), content.size(), level);
  if (ZSTD_isError(size)) {
    throw util::Error(util::ErrorCode::internal,
                      util::cat("cannot compress: ", ZSTD_getErrorName(size)));
  }
  frame.resize(size);
}

util::Bytes compress(util::ByteView content, int level) {
  util::Bytes frame;
  compress_into(content, level, frame);
  return frame;
}

void decompress_into(util::ByteView frame, std::size_t limit, util::Bytes& content) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > limit) damaged();
  content.resize(size);
  const std::size_t got = ZSTD_decompressDCtx(required(context), content.data(), content.size(),
                                              frame.data(), frame.size());
  if (ZSTD_isError(got) || got != size) damaged();
}

util::Bytes decompress(util::ByteView frame, std::size_t limit) {
  util::Bytes content;
  decompress_into(frame, limit, content);
  return content;
}

}  // namespace dbbackup::repository
