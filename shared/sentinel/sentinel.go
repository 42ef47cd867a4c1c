// Package sentinel holds the three steps of SQL Sentinel, Sync, Evaluate and Deliver,
// and every interface that a runtime must provide for them. The steps are the same on
// one machine and on AWS.
package sentinel
