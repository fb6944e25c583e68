export { type HttpFallbackOptions, httpFallback } from "./httpFallback.js";
