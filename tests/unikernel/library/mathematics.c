/* Functions of <math.h>, against values that are known to more digits than a double has; and their special cases. */
#include <complex.h>
#include <fenv.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <tgmath.h>

#include "check.h"

/* How far `value` is from `wanted`, in units of its last place. */
static double ulps(double value, double wanted) {
  if (isnan(wanted) || isinf(wanted) || wanted == 0)
    return (isnan(wanted) ? isnan(value) : value == wanted && signbit(value) == signbit(wanted)) ? 0 : 1e9;
  const double unit = ldexp(1, (ilogb(wanted) < -1022 ? -1022 : ilogb(wanted)) - 52);
  return fabs(value - wanted) / unit;
}

static void near(double value, double wanted, double most, int line) {
  if (ulps(value, wanted) <= most) return;
  printf("mathematics.c:%d: not so: %.17g (%a), not %.17g (%a)\n", line, value, value, wanted, wanted);
  ++mistakes;
}
#define NEAR(value, wanted) near((value), (wanted), 1, __LINE__)
#define SAME(value, wanted) near((value), (wanted), 0, __LINE__)

void check_mathematics(void) {
  NEAR(exp(1.0), 2.7182818284590452354);
  NEAR(exp(-745.0), 4.9406564584124654e-324);
  NEAR(exp2(0.5), 1.4142135623730950488);
  NEAR(exp10(3.5), 3162.2776601683793320);
  NEAR(expm1(1e-10), 1.00000000005000000000e-10);
  NEAR(log(10.0), 2.3025850929940456840);
  NEAR(log(0x1p-1074), -744.44007192138126231);
  NEAR(log10(2.0), 0.30102999566398119521);
  NEAR(log2(10.0), 3.3219280948873623479);
  NEAR(log1p(1e-10), 9.9999999995000000000e-11);
  NEAR(sin(1.0), 0.84147098480789650665);
  NEAR(cos(1.0), 0.54030230586813971740);
  NEAR(tan(1.0), 1.5574077246549022305);
  NEAR(sin(1e22), -0.85220084976718880177);
  NEAR(cos(1e22), 0.52321478539513894549);
  NEAR(sin(3.14159265358979311600), 1.2246467991473531772e-16);
  NEAR(asin(0.5), 0.52359877559829887308);
  NEAR(acos(0.1), 1.4706289056333368229);
  NEAR(atan(10.0), 1.4711276743037345919);
  NEAR(atan2(-1.0, -1.0), -2.3561944901923449288);
  NEAR(sinh(1.0), 1.1752011936438014569);
  NEAR(cosh(10.0), 11013.232920103323140);
  NEAR(tanh(0.5), 0.46211715726000975850);
  near(asinh(1.0), 0.88137358701954302523, 2, __LINE__);
  near(acosh(2.0), 1.3169578969248167086, 2, __LINE__);
  near(atanh(0.5), 0.54930614433405484570, 2, __LINE__);
  NEAR(pow(2.0, 0.5), 1.4142135623730950488);
  NEAR(pow(1.5, 100.0), 406561177535215237.397279707566);
  NEAR(pow(10.0, -320.0), 9.9998886718268300541e-321);
  NEAR(cbrt(3.0), 1.4422495703074083823);
  SAME(sqrt(2.0), 0x1.6a09e667f3bcdp+0);
  SAME(sqrt(0x1p-1074), 0x1p-537);
  NEAR(hypot(3.0, 4.0), 5.0);
  NEAR(hypot(1e300, 1e300), 1.4142135623730950488e300);
  near(erf(0.5), 0.52049987781304653768, 2, __LINE__);
  near(erfc(5.0), 1.5374597944280348502e-12, 3, __LINE__);
  near(tgamma(5.5), 52.342777784553520181, 3, __LINE__);
  near(lgamma(100.0), 359.13420536957539878, 3, __LINE__);
  near(j0(1.0), 0.76519768655796655145, 4, __LINE__);
  near(y1(2.0), -0.10703243154093754689, 8, __LINE__);
  /* special cases */
  SAME(exp(-INFINITY), 0.0);
  SAME(log(0.0), -INFINITY);
  SAME(log(-1.0), NAN);
  SAME(sqrt(-0.0), -0.0);
  SAME(sqrt(-1.0), NAN);
  SAME(pow(0.0, 0.0), 1.0);
  SAME(pow(NAN, 0.0), 1.0);
  SAME(pow(-8.0, 1.0 / 3), NAN);
  SAME(pow(-0.0, -3.0), -INFINITY);
  SAME(pow(-1.0, INFINITY), 1.0);
  SAME(atan2(0.0, -0.0), 0x1.921fb54442d18p+1);
  SAME(atan2(-0.0, 1.0), -0.0);
  SAME(fmod(-7.5, 2.0), -1.5);
  SAME(fmod(1e300, 3.0), 0.0);
  SAME(remainder(7.5, 2.0), -0.5);
  SAME(fmod(1.0, 0.0), NAN);
  SAME(hypot(INFINITY, NAN), INFINITY);
  SAME(fmin(NAN, 1.0), 1.0);
  SAME(fmax(-0.0, 0.0) + 0.0, 0.0);
  SAME(fdim(1.0, 3.0), 0.0);
  SAME(fma(0x1.0000001p0, 0x1.0000001p0, -0x1.0000002p0), 0x1p-56);
  SAME(fma(DBL_MAX, 2.0, -DBL_MAX), DBL_MAX);
  SAME(nextafter(1.0, 2.0), 0x1.0000000000001p0);
  SAME(nextafter(0.0, -1.0), -0x1p-1074);
  SAME(copysign(NAN, -1.0) < 0 ? 1.0 : 0.0, 0.0);
  SAME(ldexp(1.0, -1074), 0x1p-1074);
  SAME(scalbn(0x1p-1074, 2097), 0x1p1023);
  SAME(logb(0x1p-1074), -1074.0);
  CHECK(ilogb(0.0) == FP_ILOGB0 && ilogb(INFINITY) == INT_MAX && fpclassify(0x1p-1074) == FP_SUBNORMAL &&
        fpclassify(0.0) == FP_ZERO);
  CHECK(isnormal(1.0) && !isnormal(0x1p-1050) && isunordered(NAN, 1.0) && signbit(-0.0) && !isgreater(NAN, 1.0));
  int exponent, quotient;
  double whole;
  SAME(frexp(-10.0, &exponent), -0.625);
  CHECK(exponent == 4 && modf(-2.75, &whole) == -0.75 && whole == -2);
  CHECK(remquo(29.0, 3.0, &quotient) == -1 && (quotient & 7) == 2);
  /* roundings, in every direction that the machine has */
  static const double values[] = {0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994, 4503599627370495.5, 9007199254740993.0, -0.2};
  static const double rounds[] = {1, 2, 3, -1, -2, 0, 4503599627370496, 9007199254740992, -0.0},
                      evens[] = {0, 2, 2, -0.0, -2, 0, 4503599627370496, 9007199254740992, -0.0};
  for (unsigned i = 0; i < sizeof values / sizeof *values; ++i) {
    SAME(round(values[i]), rounds[i]);
    SAME(rint(values[i]), evens[i]);
    SAME(floor(values[i]) <= values[i] && values[i] - floor(values[i]) < 1 ? 1 : 0, 1);
    SAME(ceil(values[i]) >= values[i] && trunc(fabs(values[i])) == floor(fabs(values[i])) ? 1 : 0, 1);
  }
  CHECK(lrint(2.5) == 2 && llround(-2.5) == -3 && lround(1e15 + 0.5) == 1000000000000001 && nearbyint(1.5) == 2);
  static const struct {
    int mode;
    double up, down;
  } modes[] = {{FE_UPWARD, 3, -2}, {FE_DOWNWARD, 2, -3}, {FE_TOWARDZERO, 2, -2}, {FE_TONEAREST, 2, -2}};
  for (unsigned i = 0; i < sizeof modes / sizeof *modes; ++i) {
    volatile double plus = 2.25, minus = -2.25, one = 1, three = 3;
    CHECK(fesetround(modes[i].mode) == 0 && fegetround() == modes[i].mode);
    SAME(rint(plus), modes[i].up);
    SAME(rint(minus), modes[i].down);
    volatile double third = one / three;
    CHECK((third > 0x1.5555555555555p-2) == (modes[i].mode == FE_UPWARD));
  }
  feclearexcept(FE_ALL_EXCEPT);
  volatile double zero = 0, one = 1, large = DBL_MAX;
  volatile double result = one / zero;
  CHECK(fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO && isinf(result));
  feclearexcept(FE_ALL_EXCEPT);
  result = large * large;
  CHECK((fetestexcept(FE_OVERFLOW | FE_INEXACT)) == (FE_OVERFLOW | FE_INEXACT));
  fenv_t environment;
  CHECK(feholdexcept(&environment) == 0 && fetestexcept(FE_ALL_EXCEPT) == 0 && feupdateenv(&environment) == 0 &&
        fetestexcept(FE_OVERFLOW) != 0);
  feclearexcept(FE_ALL_EXCEPT);
  /* other widths, and the macros that choose by type */
  CHECK(sinf(1.0f) == 0.84147098480789650665f && expf(1.0f) == 2.71828182845904523536f &&
        powf(2.0f, 0.5f) == 1.41421356237309504880f);
  /* Of 128 bits musl computes some functions as double. */
  CHECK(fabsl(sqrtl(2.0L) * sqrtl(2.0L) - 2.0L) <= 2 * LDBL_EPSILON && fabsl(expl(logl(5.0L)) - 5.0L) < 1e-14L);
  CHECK(sizeof(sin(1.0f)) == sizeof(float) && sizeof(sin(1)) == sizeof(double) && sizeof(sin(1.0L)) == sizeof(long double));
  const double complex z = csqrt(-4.0);
  CHECK(creal(z) == 0 && cimag(z) == 2 && cabs(3.0 + 4.0 * I) == 5 && fabs(creal(cexp(I * M_PI)) + 1) < 1e-15);
  /* identities over many arguments: sin^2 + cos^2, exp and log, cbrt */
  for (int i = 1; i < 500; ++i) {
    const double x = i * 0.37;
    CHECK(fabs(sin(x) * sin(x) + cos(x) * cos(x) - 1) < 4e-16);
    near(log(exp(x)), x, 2, __LINE__);
    near(cbrt(x) * cbrt(x) * cbrt(x), x, 4, __LINE__);
    near(pow(x, 3.0), x * x * x, 2, __LINE__);
  }
}
