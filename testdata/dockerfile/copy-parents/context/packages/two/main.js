packages/two/main.js
