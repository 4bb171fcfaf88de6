#include "runtime/base/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file_descriptor.h"

namespace ft {
namespace {

Status write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return failed_error("%s: cannot write: %s", path.c_str(), std::strerror(errno));
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return Status();
}

Status sync_parent(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const FileDescriptor parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() < 0 || ::fsync(parent.get()) != 0) {
    return failed_error("%s: cannot sync the directory: %s", directory.c_str(),
                        std::strerror(errno));
  }
  return Status();
}

}  // namespace

Result<BufferPtr> read_file(const std::string& path, int64_t bytes_max) {
  // A FIFO would wait for a writer.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) {
    return invalid_error("%s: cannot open: %s", path.c_str(), std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return invalid_error("%s: not a regular file", path.c_str());
  }
  if (info.st_size > bytes_max) {
    return invalid_error("%s: %lld bytes are more than the limit of %lld", path.c_str(),
                         static_cast<long long>(info.st_size), static_cast<long long>(bytes_max));
  }
  BufferPtr buffer = make_buffer(info.st_size);
  size_t done = 0;
  while (done < buffer->size()) {
    const ssize_t got = ::read(file.get(), buffer->data() + done, buffer->size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return invalid_error("%s: cannot read: %s", path.c_str(),
                           got == 0 ? "the file shrank" : std::strerror(errno));
    }
    done += static_cast<size_t>(got);
  }
  return buffer;
}

Status write_file_atomic(const std::string& path, std::span<const std::byte> bytes) {
  return write_parts_atomic(path, std::span(&bytes, 1));
}

namespace {

// Messages name the file that was asked for.
Status write_aside(const std::string& aside, const std::string& path,
                   std::span<const std::span<const std::byte>> parts) {
  const FileDescriptor file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) {
    return failed_error("%s: cannot create: %s", path.c_str(), std::strerror(errno));
  }
  for (const std::span<const std::byte> part : parts) {
    FT_RETURN_IF_ERROR(write_all(file.get(), part, path));
  }
  if (::fsync(file.get()) != 0) {
    return failed_error("%s: cannot sync: %s", path.c_str(), std::strerror(errno));
  }
  return Status();
}

}  // namespace

Status write_parts_atomic(const std::string& path,
                          std::span<const std::span<const std::byte>> parts) {
  const std::string aside = path + ".tmp";
  Status written = write_aside(aside, path, parts);
  if (written.ok() && ::rename(aside.c_str(), path.c_str()) != 0) {
    written = failed_error("%s: cannot replace: %s", path.c_str(), std::strerror(errno));
  }
  if (written.ok()) return sync_parent(path);
  ::unlink(aside.c_str());  // its room may be what the others lack
  return written;
}

Status append_line_synced(const std::string& path, const std::string& line) {
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file.get() < 0) {
    return failed_error("%s: cannot open: %s", path.c_str(), std::strerror(errno));
  }
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  char last = '\n';
  const bool torn = size > 0 && ::pread(file.get(), &last, 1, size - 1) == 1 && last != '\n';
  const std::string text = (torn ? "\n" : "") + line + "\n";
  FT_RETURN_IF_ERROR(write_all(file.get(), std::as_bytes(std::span(text)), path));
  if (::fsync(file.get()) != 0) {
    return failed_error("%s: cannot sync: %s", path.c_str(), std::strerror(errno));
  }
  return size == 0 ? sync_parent(path) : Status();
}

}  // namespace ft
