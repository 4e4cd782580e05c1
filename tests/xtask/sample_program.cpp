// A program to look into.
namespace {

int digits(int number) { return number < 10 ? 1 : 1 + digits(number / 10); }

}  // namespace

int main(int count, char**) { return digits(count) - 1; }
