// Bytes and their text forms: the vocabulary in which every other room passes data.
//
// Threads: everything here is a value or a pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbbackup::util {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// Views text as bytes and bytes as text; nothing is copied or decoded.
ByteView as_bytes(std::string_view text);
std::string_view as_text(ByteView bytes);
Bytes to_bytes(std::string_view text);

// Lower-case hexadecimal. from_hex() is empty for odd length or a foreign character.
std::string to_hex(ByteView bytes);
std::optional<Bytes> from_hex(std::string_view text);

// Little-endian fixed-width integers, appended to or read from a buffer.
// Requires: the view holds at least the integer's width.
void append_u16(Bytes& out, std::uint16_t value);
void append_u32(Bytes& out, std::uint32_t value);
void append_u64(Bytes& out, std::uint64_t value);
std::uint16_t read_u16(ByteView bytes);
std::uint32_t read_u32(ByteView bytes);
std::uint64_t read_u64(ByteView bytes);

}  // namespace dbbackup::util
