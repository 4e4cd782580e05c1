// Serial consoles: polled output, input by poll or interrupt. One interface, one class per register layout.
#pragma once

#include <optional>

#include "kernel/base/format.hpp"
#include "kernel/base/types.hpp"

namespace ax::drivers {

/// A serial port whose registers are mapped at VA = PA and whose line settings firmware has made. Output may run in any
/// context, before the MMU and in a panic included; callers serialise it (the log's console lock). A transmitter that stays
/// busy loses characters instead of blocking its caller for ever.
class Uart : public Sink {
 public:
  /// Sends the text, each '\n' as "\r\n".
  void write(std::string_view text) final;

  /// Makes sure that transmitter and receiver run, with all interrupts off.
  virtual void init() = 0;
  /// One received character, if there is one.
  virtual std::optional<char> get() = 0;
  /// From now on received characters raise the port's interrupt, until get() has taken them all.
  virtual void enable_receive_interrupt() = 0;
  /// Ends the conditions that get() does not end. To be called by the interrupt's handler before it reads: what arrives
  /// afterwards raises the interrupt again.
  virtual void acknowledge_interrupt() = 0;

 protected:
  constexpr Uart() = default;
  ~Uart() = default;
  virtual bool can_send() = 0;
  virtual void send(char c) = 0;

 private:
  void put(char c);
};

/// Arm PrimeCell UART (DDI 0183) and the SBSA subset of it.
class Pl011 final : public Uart {
 public:
  constexpr Pl011() = default;
  explicit constexpr Pl011(Hpa registers) : base_(registers.value()) {}

  void init() override;
  std::optional<char> get() override;
  void enable_receive_interrupt() override;
  void acknowledge_interrupt() override;

 private:
  enum class Register : u16;
  bool can_send() override;
  void send(char c) override;
  u32 read(Register r) const;
  void write_register(Register r, u32 value) const;

  u64 base_ = 0;
};

/// Cadence UART of AMD-Xilinx Zynq, ZynqMP and Versal (UG1087, UART module).
class CadenceUart final : public Uart {
 public:
  constexpr CadenceUart() = default;
  explicit constexpr CadenceUart(Hpa registers) : base_(registers.value()) {}

  void init() override;
  std::optional<char> get() override;
  void enable_receive_interrupt() override;
  void acknowledge_interrupt() override;

 private:
  enum class Register : u16;
  bool can_send() override;
  void send(char c) override;
  u32 read(Register r) const;
  void write_register(Register r, u32 value) const;

  u64 base_ = 0;
};

/// UART of NXP i.MX (IMX8MPRM, chapter UART).
class ImxUart final : public Uart {
 public:
  constexpr ImxUart() = default;
  explicit constexpr ImxUart(Hpa registers) : base_(registers.value()) {}

  void init() override;
  std::optional<char> get() override;
  void enable_receive_interrupt() override;
  void acknowledge_interrupt() override;

 private:
  enum class Register : u16;
  bool can_send() override;
  void send(char c) override;
  u32 read(Register r) const;
  void write_register(Register r, u32 value) const;

  u64 base_ = 0;
};

/// What every 16550 has in common, however its registers are reached.
class Uart16550Registers : public Uart {
 public:
  void init() override;
  std::optional<char> get() final;
  void enable_receive_interrupt() final;
  void acknowledge_interrupt() final;

 protected:
  ~Uart16550Registers() = default;
  /// Register number as in the manual.
  virtual u8 read(u16 number) const = 0;
  virtual void write_register(u16 number, u8 value) const = 0;

 private:
  bool can_send() final;
  void send(char c) final;
};

/// 16550 and compatible, also Synopsys DesignWare APB: registers 2^shift bytes apart, accessed in `width` bytes.
class Uart16550 final : public Uart16550Registers {
 public:
  constexpr Uart16550() = default;
  constexpr Uart16550(Hpa registers, u8 shift, u8 width) : base_(registers.value()), shift_(shift), width_(width) {}

 private:
  u8 read(u16 number) const override;
  void write_register(u16 number, u8 value) const override;

  u64 base_ = 0;
  u8 shift_ = 0;
  u8 width_ = 1;
};

/// A 16550 behind I/O ports, as PCs have it. init() also sets the line to 115200 8N1: PC firmware need not have. x86 only.
class Uart16550Ports final : public Uart16550Registers {
 public:
  constexpr Uart16550Ports() = default;
  explicit constexpr Uart16550Ports(u16 first_port) : first_port_(first_port) {}
  void init() override;

 private:
  u8 read(u16 number) const override;
  void write_register(u16 number, u8 value) const override;

  u16 first_port_ = 0;
};

}  // namespace ax::drivers
