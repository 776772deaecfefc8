// SPDX-License-Identifier: Apache-2.0
// Gradient of a 5x5 depthwise convolution's weights, bf16 in and fp32 sums, NHWC, AVX-512.
// One 16-channel block keeps all 25 sums in registers while it walks over a picture.
#include <cstdint>
#include <immintrin.h>

namespace {

inline __m512 load(const uint16_t *p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

}  // namespace

// x: n,h,w,c; g: n,oh,ow,c; out: n,25,c. c must be a multiple of 16.
extern "C" void weight_gradient(const uint16_t *x, const uint16_t *g, float *out, int n, int h,
                                int w, int oh, int ow, int c, int stride, int threads) {
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(threads)
    for (int b = 0; b < n; ++b) {
        for (int k = 0; k < c; k += 16) {
            __m512 sum[25];
            for (auto &s : sum) s = _mm512_setzero_ps();
            for (int oy = 0; oy < oh; ++oy) {
                for (int ox = 0; ox < ow; ++ox) {
                    const __m512 grad = load(g + ((int64_t(b) * oh + oy) * ow + ox) * c + k);
                    const int y0 = oy * stride - 2, x0 = ox * stride - 2;
                    const uint16_t *at = x + ((int64_t(b) * h + y0) * w + x0) * c + k;
                    if (y0 >= 0 && x0 >= 0 && y0 + 5 <= h && x0 + 5 <= w) {
#pragma GCC unroll 5
                        for (int i = 0; i < 5; ++i)
#pragma GCC unroll 5
                            for (int j = 0; j < 5; ++j)
                                sum[i * 5 + j] = _mm512_fmadd_ps(
                                    grad, load(at + (int64_t(i) * w + j) * c), sum[i * 5 + j]);
                    } else {
#pragma GCC unroll 5
                        for (int i = 0; i < 5; ++i)
#pragma GCC unroll 5
                            for (int j = 0; j < 5; ++j)
                                if (y0 + i >= 0 && y0 + i < h && x0 + j >= 0 && x0 + j < w)
                                    sum[i * 5 + j] = _mm512_fmadd_ps(
                                        grad, load(at + (int64_t(i) * w + j) * c), sum[i * 5 + j]);
                    }
                }
            }
            for (int i = 0; i < 25; ++i)
                _mm512_storeu_ps(out + (int64_t(b) * 25 + i) * c + k, sum[i]);
        }
    }
}
