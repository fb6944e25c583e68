import type { Page } from "playwright-core";

/**
 * The elements whose text or control is not completely visible: it leaves the content box of a parent, or an element
 * hides it or scrolls sideways. Vertical scrolling is allowed. Each is named by its id, its class or its tag.
 */
export function cutOff(page: Page): Promise<string[]> {
  return page.locator("html").evaluate((root) => {
    const { defaultView: view } = root.ownerDocument;
    const found = new Set<string>();
    for (const element of root.querySelectorAll("body, body *")) {
      if (!element.checkVisibility()) continue;
      const name = element.id || element.className || element.localName;
      const { overflowX, overflowY } = view.getComputedStyle(element);
      const hidesWidth = overflowX !== "visible" && element.scrollWidth > element.clientWidth;
      const hidesHeight = /hidden|clip/.test(overflowY) && element.scrollHeight > element.clientHeight;
      // An input scrolls its own text.
      if ((hidesWidth || hidesHeight) && element.localName !== "input") found.add(name);
      const texts = [];
      for (const node of element.childNodes) {
        if (node.nodeType !== node.TEXT_NODE || node.data.trim() === "") continue;
        const range = root.ownerDocument.createRange();
        range.selectNodeContents(node);
        texts.push(...range.getClientRects());
      }
      const inner = [...texts];
      for (let around = element; around !== null; around = around.parentElement) {
        const style = view.getComputedStyle(around);
        if (style.display !== "inline") {
          const box = around.getBoundingClientRect();
          const left = box.left + Number.parseFloat(style.borderLeftWidth) + Number.parseFloat(style.paddingLeft);
          const right = box.right - Number.parseFloat(style.borderRightWidth) - Number.parseFloat(style.paddingRight);
          // Chromium shortens a text that is too wide by a 64th of a pixel.
          if (inner.some((rect) => rect.left < left - 0.01 || rect.right > right + 0.01)) found.add(name);
        }
        // Text hidden by an ellipsis is also outside the other boxes, and was found already.
        if (around === element && style.textOverflow === "ellipsis") inner.length = 0;
        if (around === element) inner.push(element.getBoundingClientRect());
      }
    }
    if (root.scrollWidth > view.innerWidth) found.add("html");
    return [...found];
  });
}
