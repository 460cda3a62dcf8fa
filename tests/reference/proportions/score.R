# Miettinen and Nurminen (1985): no package in Debian. The most likely proportions are found by search here, not by
# the closed forms of the paper, and the limits by uniroot on the signed root of the score chi-square ----------------
mn <- function(v, effect, level = 0.95, at = NULL) {
  x <- v[c(1, 3)]; n <- v[c(2, 4)]; N <- sum(n)
  p1 <- function(p2, t) if (effect == "rd") p2 + t else p2 * exp(t)
  score <- function(t) {
    if (effect == "or") {
      e <- uniroot(function(e) sum(x) - n[1] * plogis(e + t) - n[2] * plogis(e), c(-40, 40), tol = 1e-15)$root
      v <- plogis(c(e + t, e)) * plogis(-c(e + t, e))
      return((x[1] - n[1] * plogis(e + t)) * sqrt(sum(1 / (n * v))) * sqrt((N - 1) / N))
    }
    range <- if (effect == "rd") c(max(0, -t), min(1, 1 - t)) else c(0, min(1, exp(-t)))
    dl <- function(p2) {                          # derivative of the log likelihood along the constraint
      p <- p1(p2, t); d <- if (effect == "rd") 1 else exp(t)
      d * (x[1] - n[1] * p) / (p * (1 - p)) + (x[2] - n[2] * p2) / (p2 * (1 - p2))
    }
    eps <- diff(range) * 1e-13; low <- range[1] + eps; high <- range[2] - eps
    p2 <- if (dl(low) <= 0) low else if (dl(high) >= 0) high else uniroot(dl, c(low, high), tol = 1e-16, maxiter = 5000)$root
    p <- c(p1(p2, t), p2); v <- p * (1 - p) / n
    u <- if (effect == "rd") (x[1] / n[1] - x[2] / n[2] - t) / sqrt(sum(v))
         else (x[1] / n[1] - exp(t) * x[2] / n[2]) / sqrt(v[1] + exp(2 * t) * v[2])
    u * sqrt((N - 1) / N)
  }
  if (!is.null(at)) return(score(at))
  z <- qnorm((1 + level) / 2); span <- if (effect == "rd") c(-0.999, 0.999) else c(-12, 12)
  root <- function(z) tryCatch(uniroot(function(t) score(t) - z, span, tol = 1e-13)$root, error = function(e) NA)
  back <- if (effect == "rd") identity else exp
  odds <- x / (n - x)
  est <- switch(effect, rd = x[1] / n[1] - x[2] / n[2], rr = (x[1] / n[1]) / (x[2] / n[2]), or = odds[1] / odds[2])
  p <- if (sum(x) %in% c(0, N)) NA else 2 * pnorm(-abs(score(if (effect == "rd") 1e-12 else 0)))
  c(est, if (est %in% c(-1, 0) && !(effect == "rd" && est == 0)) est else back(root(z)),
    if (is.infinite(est) || (effect == "rd" && est == 1)) est else back(root(-z)), p)
}
mn_score <- function(v, bound) mn(v, "rd", at = bound)
